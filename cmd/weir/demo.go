package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/demo"
	"github.com/valor-ivx/weir/proxy/server"
	edgetls "github.com/valor-ivx/weir/tls"
)

func (sh *shell) demoVerb() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the edge in front of two colours of the bundled API on this machine, to try everything",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return sh.demo(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.HTTP, "http", "127.0.0.1:8080", "the edge's plain `ADDRESS`")
	f.StringVar(&o.HTTPS, "https", "127.0.0.1:8443", "the edge's TLS `ADDRESS`")
	f.StringVar(&o.Admin, "admin", demo.DefaultAdmin, "the admin API's and dashboard's `ADDRESS`")
	f.StringVar(&o.Blue, "blue", "127.0.0.1:5002", "the blue API's `ADDRESS`")
	f.StringVar(&o.Green, "green", "127.0.0.1:5003", "the green API's `ADDRESS`")
	f.StringVar(&o.Dir, "dir", "", "`FOLDER` for its state (weir/demo in the XDG state folder)")
	return cmd
}

func (sh *shell) demo(ctx context.Context, o demo.Options) error {
	// Until the edge runs, any of these means "never mind".
	waiting, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT)
	defer stop()
	var err error
	if o.API, err = besideSelf("valor-api"); err != nil {
		return err
	}
	if o.Dir == "" {
		if o.Dir, err = sh.stateDir(); err != nil {
			return err
		}
	}
	o.Self, o.Stdout, o.Stderr = sh.self, sh.stdout, sh.stderr
	o.Certificate = localCertificate
	o.Serve = func(config string, ready func()) int {
		signals := notify()
		defer signal.Stop(signals)
		stop()
		relayed, end := untilHangup(signals)
		defer end()
		return server.Run(ctx, server.Options{
			ConfigPath: config, Version: readBuild().String(), DrainTimeout: defaultDrain,
			Stdout: sh.stdout, Stderr: sh.stderr, Ready: func(*server.Server) { ready() },
		}, relayed)
	}
	code, err := demo.Run(waiting, o)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return err
	}
	return exit(code)
}

// untilHangup passes signals on, with one change: HUP means reload, but a terminal that was closed sends it
// too, and a demo whose terminal is gone must not stay behind and hold its ports. Its goroutine ends with end.
func untilHangup(signals <-chan os.Signal) (relayed chan os.Signal, end func()) {
	terminal := isatty.IsTerminal(os.Stdin.Fd())
	relayed = make(chan os.Signal, cap(signals))
	done := make(chan struct{})
	go func() {
		for {
			select {
			case s := <-signals:
				// A hung-up terminal answers the question with an error.
				if s == syscall.SIGHUP && terminal && !isatty.IsTerminal(os.Stdin.Fd()) {
					s = syscall.SIGTERM
				}
				select {
				case relayed <- s:
				case <-done:
					return
				}
			case <-done:
				return
			}
		}
	}()
	return relayed, func() { close(done) }
}

// localCertificate is localhost's, from a CA that stays on this machine.
func localCertificate(dir string) (demo.Certificate, error) {
	now := time.Now()
	ca, err := edgetls.OpenLocalCA(dir, now)
	if err != nil {
		return demo.Certificate{}, err
	}
	leaf, err := ca.Leaf([]string{"localhost", "127.0.0.1", "::1"}, now)
	if err != nil {
		return demo.Certificate{}, err
	}
	return demo.Certificate{CA: ca.RootFile(), Cert: leaf.Cert, Key: leaf.Key}, nil
}

// besideSelf is a program in the folder this one really lies in.
func besideSelf(name string) (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find %s beside weir: %w", name, err)
	}
	return filepath.Join(filepath.Dir(self), name), nil
}

// stateDir follows the XDG base directory specification.
func (sh *shell) stateDir() (string, error) {
	if base, _ := sh.env("XDG_STATE_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "weir", "demo"), nil
	}
	home, _ := sh.env("HOME")
	if home == "" {
		return "", errors.New("there is no HOME to keep the demo's state in: give --dir FOLDER")
	}
	return filepath.Join(home, ".local", "state", "weir", "demo"), nil
}
