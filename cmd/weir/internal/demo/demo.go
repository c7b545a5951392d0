package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// readyTimeout bounds the start of the API instances: an empty database on a slow disk migrates within
// seconds.
const readyTimeout = 30 * time.Second

// Options say where the demo lives and what it starts. Addresses are HOST:PORT.
type Options struct {
	// Dir holds the configuration, the database, the secret, the local CA and the logs; made if absent.
	Dir                             string
	HTTP, HTTPS, Admin, Blue, Green string
	// API is the valor-api to start.
	API string
	// Self is how to type this program, in the commands to try.
	Self string
	// Stdout gets the addresses, Stderr what goes wrong.
	Stdout, Stderr io.Writer
	// Certificate makes or renews the local CA and a certificate for localhost under dir.
	Certificate func(dir string) (Certificate, error)
	// Serve runs the edge on a configuration until it ends, and calls ready once it accepts.
	Serve func(config string, ready func()) (exitCode int)
}

// Certificate names PEM files.
type Certificate struct{ CA, Cert, Key string }

// Run runs the demo until Serve returns, and gives its exit code. An error means that nothing was served; so
// does an end of ctx, which is for the time before Serve.
func Run(ctx context.Context, o Options) (int, error) {
	if _, err := os.Stat(o.API); err != nil {
		return 0, fmt.Errorf("find the bundled API: %w (make build puts valor-api beside weir)", err)
	}
	if err := checkPorts(o); err != nil {
		return 0, err
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return 0, fmt.Errorf("find demo folder: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return 0, fmt.Errorf("make demo folder: %w", err)
	}
	release, err := lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return 0, err
	}
	defer release()
	p, err := prepare(o)
	if err != nil {
		return 0, err
	}
	if err := writeWeb(ctx, o); err != nil {
		return 0, err
	}
	return serve(ctx, o, p)
}

// serve starts the children, waits for them, and runs the edge. The children end after the edge has drained:
// requests in flight still need them.
func serve(ctx context.Context, o Options, p prepared) (int, error) {
	n := newNursery(o.Stderr)
	defer n.close()
	for _, c := range []colour{{"blue", o.Blue}, {"green", o.Green}} {
		if err := n.start(o, p, c); err != nil {
			return 0, err
		}
	}
	waiting, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := n.awaitReady(waiting); err != nil {
		return 0, err
	}
	return o.Serve(p.config, func() { banner(o, p, n) }), nil
}

// banner prints where everything is and what to try.
func banner(o Options, p prepared, n *nursery) {
	w, self := o.Stdout, quote(o.Self)
	at := ""
	if o.Admin != DefaultAdmin {
		at = " --admin " + o.Admin
	}
	fmt.Fprintf(w, "\nweir demo\n")
	fmt.Fprintf(w, "  open       http://%s/  to value companies: the front end, served from %s\n", o.HTTP, filepath.Join(o.Dir, webFolder))
	fmt.Fprintf(w, "  edge       http://%s  https://%s\n", o.HTTP, o.HTTPS)
	fmt.Fprintf(w, "  dashboard  http://%s\n", o.Admin)
	for _, c := range n.children {
		fmt.Fprintf(w, "  %-9s  http://%s  pid %d, log %s\n", c.name, c.address, c.pid(), c.log)
	}
	fmt.Fprintf(w, "  edit       %s\n", p.config)
	if p.edited {
		fmt.Fprintf(w, "             (you changed it, so it decides the addresses; delete it for a new one)\n")
	}
	fmt.Fprintf(w, "\nTry, in another terminal:\n")
	fmt.Fprintf(w, "  curl -i http://%s/api/health\n", o.HTTP)
	fmt.Fprintf(w, "  %s weights%s api blue=50 green=50\n", self, at)
	fmt.Fprintf(w, "  curl -i --cacert %s https://%s/api/health\n", quote(p.certificate.CA), o.HTTPS)
	fmt.Fprintf(w, "\nCtrl-C ends all of it.\n\n")
}

// DefaultAdmin is the admin address that `weir` uses unasked.
const DefaultAdmin = "127.0.0.1:9180"

// errEnded is a child that ended before it was ready.
var errEnded = errors.New("it ended")
