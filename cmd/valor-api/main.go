// Command valor-api runs the bundled API service. It is configured by VALOR_* variables; docs/api.md
// lists them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app"
)

// version is set by the linker (-X main.version=v1.2.3) and by nothing else.
var version string

// Exit codes, the same as weir's.
const (
	exitOK      = 0
	exitFailed  = 1 // invalid configuration or failed start
	exitUsage   = 2
	exitDrained = 3 // requests were cut at the drain deadline
)

func main() {
	switch {
	case len(os.Args) == 1:
		os.Exit(run())
	case len(os.Args) == 2 && os.Args[1] == "version":
		fmt.Println("valor-api", buildVersion())
	case len(os.Args) == 2 && os.Args[1] == "healthcheck":
		os.Exit(healthcheck())
	case len(os.Args) == 3 && os.Args[1] == "backup":
		os.Exit(backup(os.Args[2]))
	case os.Args[1] == "web":
		os.Exit(writeWeb(os.Args[2:]))
	default:
		os.Exit(usage())
	}
}

func usage() int {
	fmt.Fprintln(os.Stderr, "usage: valor-api [version | healthcheck | backup FILE | web --out DIR]")
	return exitUsage
}

// writeWeb writes the front end to the folder of --out.
func writeWeb(args []string) int {
	flags := flag.NewFlagSet("web", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // our own usage says it
	dir := flags.String("out", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 || *dir == "" {
		return usage()
	}
	n, err := app.WriteWeb(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	fmt.Printf("%d files in %s\n", n, *dir)
	return exitOK
}

func run() int {
	config, err := app.Load(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	log := app.NewLogger(os.Stdout, config.Color)
	limitMemory()
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		log.Info("memory limit of the garbage collector", zap.Int64("bytes", limit))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	service, err := app.Open(ctx, config, buildVersion(), log)
	if err != nil {
		log.Error("failed to start", zap.Error(err))
		return exitFailed
	}
	switch err := service.Serve(ctx); {
	case errors.Is(err, app.ErrDrain):
		log.Warn("stopped", zap.Error(err))
		return exitDrained
	case err != nil:
		log.Error("stopped", zap.Error(err))
		return exitFailed
	}
	return exitOK
}

// healthcheck asks the service that runs with this environment whether it is ready.
func healthcheck() int {
	said, err := app.Healthcheck(context.Background(), os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	fmt.Println(said)
	return exitOK
}

// backup copies the database of VALOR_DATABASE, which may be in use, to a file.
func backup(to string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := app.Backup(ctx, os.Getenv, to); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	}
	fmt.Println("backed up to", to)
	return exitOK
}

// buildVersion falls back to what the Go tool recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
