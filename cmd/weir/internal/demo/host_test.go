package demo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/valor-ivx/weir/cmd/weir/internal/demo"
)

// TestMain lets this binary be the API (started by the demo, which sets VALOR_COLOR) and a demo to be killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "web":
		os.Exit(fakeWeb(os.Args[3]))
	case os.Getenv("VALOR_COLOR") != "":
		os.Exit(fakeAPI())
	case os.Getenv("WEIR_TEST_DEMO_DIR") != "":
		os.Exit(hostDemo())
	default:
		os.Exit(m.Run())
	}
}

// fakeWeb writes a front end.
func fakeWeb(dir string) int {
	if os.Getenv("WEIR_TEST_BREAK") == "web" {
		fmt.Println("no room left on the disk")
		return 7
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "index.html"), []byte("<!doctype html>"), 0o644)); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// fakeAPI answers readiness and says what it was given.
func fakeAPI() int {
	if os.Getenv("WEIR_TEST_BREAK") == os.Getenv("VALOR_COLOR") {
		fmt.Println("cannot open database: disk on fire")
		return 7
	}
	l, err := net.Listen("tcp", os.Getenv("VALOR_ADDRESS"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"VALOR_COLOR", "VALOR_ENV", "VALOR_DATABASE", "VALOR_JWT_SECRET"} {
			fmt.Fprintln(w, os.Getenv(name))
		}
		fmt.Fprintln(w, os.Getpid())
	})}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() { _ = srv.Serve(l) }()
	<-term
	return 0
}

// hostDemo runs a demo that serves until it is killed, for the test of what its children do then.
func hostDemo() int {
	o := demo.Options{Dir: os.Getenv("WEIR_TEST_DEMO_DIR"), Stdout: io.Discard, Stderr: os.Stderr, Self: "weir"}
	addresses := strings.Fields(os.Getenv("WEIR_TEST_DEMO_ADDRESSES"))
	o.HTTP, o.HTTPS, o.Admin, o.Blue, o.Green = addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
	o.API, _ = os.Executable()
	o.Certificate = noCertificate
	o.Serve = func(string, func()) int {
		fmt.Println("serving")
		select {}
	}
	_, err := demo.Run(context.Background(), o)
	fmt.Println(err)
	return 1
}
