package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

// mostPassword is what bcrypt looks at; the rest of a longer one would not count.
const mostPassword = 72

// hashPasswordVerb writes a line for the users_file of [auth.NAME].
func (sh *shell) hashPasswordVerb() *cobra.Command {
	var cost int
	cmd := &cobra.Command{
		Use:   "hash-password NAME",
		Short: "Print a line for a password file: NAME and the bcrypt hash of the password on standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r == ':' || r < ' ' || r == 0x7f }) || strings.TrimSpace(name) != name || name[0] == '#' {
				return usageError{errors.New("a user's name has no colon, no control characters and no spaces at its ends, and begins with no #")}
			}
			if cost < bcrypt.MinCost || cost > 15 {
				return usageError{fmt.Errorf("--cost %d: from %d to 15", cost, bcrypt.MinCost)}
			}
			password, err := sh.readPassword(cmd.InOrStdin())
			if err != nil {
				return err
			}
			hash, err := bcrypt.GenerateFromPassword(password, cost)
			if err != nil {
				return fmt.Errorf("hash password: %w", err)
			}
			_, err = fmt.Fprintf(sh.stdout, "%s:%s\n", name, hash)
			return err
		},
	}
	cmd.Flags().IntVar(&cost, "cost", bcrypt.DefaultCost, "bcrypt's `COST`: each step doubles the time of a login")
	return cmd
}

// readPassword reads one line; from a terminal without showing it.
func (sh *shell) readPassword(in io.Reader) (password []byte, err error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		_, _ = fmt.Fprint(sh.stderr, "Password: ")
		password, err = term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(sh.stderr)
	} else {
		var line string
		line, err = bufio.NewReader(io.LimitReader(in, 4096)).ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		password = []byte(strings.TrimRight(line, "\r\n"))
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read password: %w", err)
	case len(password) == 0:
		return nil, errors.New("read password: it is empty")
	case len(password) > mostPassword:
		return nil, fmt.Errorf("read password: longer than %d bytes, of which bcrypt would leave out the rest", mostPassword)
	}
	return password, nil
}
