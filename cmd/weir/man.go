package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (sh *shell) manVerb() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "man [VERB…]",
		Short:   "Print the manual page of a verb, or write those of all",
		Example: "  weir man rollout | man -l -\n  weir man --out /usr/local/share/man/man1",
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			root.DisableAutoGenTag = true // the date of the call would make the same page another one each day
			if out != "" {
				return writePages(root, out)
			}
			of, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usageError{fmt.Errorf("man %v: no such verb", args)}
			}
			return doc.GenMan(of, pageHeader(), sh.stdout)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write a page for each verb into `FOLDER`, which is made")
	return cmd
}

// pageHeader dates pages by their commit: built again, they are the same.
func pageHeader() *doc.GenManHeader {
	b := readBuild()
	h := &doc.GenManHeader{Section: "1", Source: b.String(), Manual: "Weir"}
	if at, err := time.Parse(time.RFC3339, b.Date); err == nil {
		h.Date = &at
	}
	return h
}

func writePages(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(filepath.Clean(folder), 0o755); err != nil {
		return fmt.Errorf("make folder of manual pages: %w", err)
	}
	if err := doc.GenManTree(root, pageHeader(), folder); err != nil {
		return fmt.Errorf("write manual pages: %w", err)
	}
	return nil
}
