package server

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/valor-ivx/weir/configs"
	edgetls "github.com/valor-ivx/weir/tls"
)

// Check does to a configuration all that a start would do without touching anything: load, compile, read certificates. It prints every error as
// FILE:LINE:COL: message, and warnings, and reports whether weir would start with it.
func Check(path string, w io.Writer) bool {
	cfg, err := configs.Load(path, os.LookupEnv)
	if err != nil {
		return refuse(w, err)
	}
	p, err := compile(cfg)
	if err != nil {
		return refuse(w, err)
	}
	if err := checkGuards(cfg); err != nil {
		return refuse(w, err)
	}
	if err := checkWAFs(cfg); err != nil {
		return refuse(w, err)
	}
	var pairs []edgetls.Pair
	for _, c := range cfg.TLS.Certificates {
		pairs = append(pairs, edgetls.Pair{Cert: c.Cert, Key: c.Key})
	}
	store, err := edgetls.Load(pairs, time.Now())
	if err != nil {
		return refuse(w, err)
	}
	_, authWarnings, err := clientAuth(cfg, time.Now())
	if err != nil {
		return refuse(w, err)
	}
	for _, warning := range slices.Concat(p.table.Shadowed(), limitWarnings(cfg), presetWarnings(cfg, time.Now()), transportWarnings(cfg, time.Now()), crowdWarnings(cfg, openFilesLimit()), guardWarnings(cfg), reportWarnings(cfg), wafWarnings(cfg), shadowWarnings(cfg), store.Warnings(), authWarnings) {
		_, _ = fmt.Fprintf(w, "%s: warning: %s\n", path, warning)
	}
	for _, line := range append(acmeNote(cfg), overlayLines(cfg)...) {
		_, _ = fmt.Fprintf(w, "%s: note: %s\n", path, line)
	}
	_, _ = fmt.Fprintf(w, "%s: ok (%d listeners, %d routes, %d services)\n", path, len(cfg.Listeners), len(cfg.Routes), len(cfg.Services))
	return true
}

func refuse(w io.Writer, err error) bool {
	for _, line := range lines(err) {
		_, _ = fmt.Fprintln(w, line)
	}
	return false
}
