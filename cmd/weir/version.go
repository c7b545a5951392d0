package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=…) and by nothing else; `go install` and `go build` leave it
// empty, and what they recorded is used.
var version string

// build is what is known of this binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// String is the short form: "weir 0.1.0".
func (b build) String() string { return "weir " + b.Version }

func readBuild() build {
	b := build{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		}
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "devel"
	}
	return b
}

func (sh *shell) versionVerb() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version and the build",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(sh.stdout).Encode(readBuild())
			}
			return sh.version()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (sh *shell) version() error {
	b := readBuild()
	fmt.Fprintf(sh.stdout, "%s (%s, %s/%s)\n", b, b.Go, b.OS, b.Arch)
	if b.Commit != "" {
		fmt.Fprintf(sh.stdout, "commit %s, %s\n", b.Commit, b.Date)
	}
	return nil
}

// nginxVersion answers -v and -V on stderr, where nginx's scripts look for it.
func (sh *shell) nginxVersion(verbose bool) error {
	b := readBuild()
	fmt.Fprintf(sh.stderr, "weir version: weir/%s\n", b.Version)
	if verbose {
		fmt.Fprintf(sh.stderr, "built with %s for %s/%s\n", b.Go, b.OS, b.Arch)
	}
	return nil
}
