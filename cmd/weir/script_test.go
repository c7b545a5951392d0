package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
)

func TestMain(m *testing.M) {
	if colour := os.Getenv("WEIR_E2E_BACKEND"); colour != "" {
		os.Exit(backendMain(colour))
	}
	testscript.Main(scenarios{m}, map[string]func(){"weir": main})
}

// TestScripts plays testdata/script/*.txtar with the real verbs against a real admin server over a fake
// Control: on a unix socket at $WORK/admin.sock, on TCP at $TCP, and with the token s3cret at $GUARDED.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Cmds:  map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func setup(env *testscript.Env) error {
	control := &fakeControl{dir: env.WorkDir, version: 1, weights: admin.Weights{"blue": 10000, "green": 0}, shadow: newShadow()}
	socket, err := net.Listen("unix", filepath.Join(env.WorkDir, "admin.sock"))
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	guarded, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	open, err := admin.New(admin.Options{Control: control, Log: zap.NewNop()})
	if err != nil {
		return err
	}
	locked, err := admin.New(admin.Options{Control: control, Log: zap.NewNop(), Token: "s3cret"})
	if err != nil {
		return err
	}
	control.onStop = func() { _ = open.Shutdown(context.Background()) } // which lets the answer be written; it ends with Close below, if not before
	ended := make(chan error, 3)
	go func() { ended <- open.Serve(socket) }()
	go func() { ended <- open.Serve(tcp) }()
	go func() { ended <- locked.Serve(guarded) }()
	env.Defer(func() {
		if err := errors.Join(open.Close(), locked.Close(), <-ended, <-ended, <-ended); err != nil {
			env.T().Fatal(err)
		}
	})
	env.Setenv("TCP", tcp.Addr().String())
	env.Setenv("GUARDED", guarded.Addr().String())
	env.Setenv("WEIR_ADMIN", "unix://"+filepath.Join(env.WorkDir, "admin.sock"))
	env.Setenv("USER", "ann")
	if zone, set := os.LookupEnv("TZ"); set { // both sides of a script tell the time of one place
		env.Setenv("TZ", zone)
	}
	return nil
}

// exits runs a command and holds it to its exit code: exits 2 weir bogus.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var failed *exec.ExitError
		if !errors.As(err, &failed) {
			ts.Fatalf("run %v: %v", args[1:], err)
		}
		code = failed.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}
