// Package pgtest runs a PostgreSQL server for the tests of several packages: a new cluster in a directory of its own, on a unix socket and no port, which ends with
// the process that started it, however that ends.
//
// It refuses to use a server that is there: what it holds is not a test's to change.
package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// ErrMissing says that PostgreSQL is not installed (make deps).
var ErrMissing = errors.New("PostgreSQL is not installed")

// Cluster is a resource: Close it. Its one goroutine reads the server's log and ends with the server.
type Cluster struct {
	dir       string
	server    *exec.Cmd
	stop      io.Closer // the server ends when this is closed
	log       chan error
	databases atomic.Int64
}

// Start makes a cluster and returns when it takes connections.
func Start() (_ *Cluster, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short: the path of a socket may have 107 bytes
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, log: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start postgres: %w", err), os.RemoveAll(dir))
		}
	}()
	as, err := owner(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initialize := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	initialize.Dir, initialize.SysProcAttr = dir, as
	if out, err := initialize.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// The shell waits for the end of its input, which comes when this process closes it or is gone, by whatever signal; then it ends the server and its backends at once.
	c.server = exec.Command("sh", "-c", `"$@" </dev/null & pid=$!; cat >/dev/null; kill -QUIT $pid 2>/dev/null; wait $pid`, "sh",
		filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "autovacuum=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB")
	c.server.Dir, c.server.SysProcAttr = dir, as
	if c.stop, err = c.server.StdinPipe(); err != nil {
		return nil, err
	}
	said, err := c.server.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := c.server.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go c.read(said, ready)
	select {
	case <-ready:
		return c, nil
	case err := <-c.log:
		return nil, errors.Join(err, c.stop.Close(), c.server.Wait())
	}
}

// read waits for the line that says that the server is up, and goes on reading until the server has ended.
func (c *Cluster) read(from io.Reader, ready chan<- struct{}) {
	var said []string
	lines, up := bufio.NewScanner(from), false
	for lines.Scan() {
		if !up && strings.Contains(lines.Text(), "ready to accept connections") {
			up = true
			close(ready)
		}
		if !up {
			said = append(said, lines.Text())
		}
	}
	c.log <- fmt.Errorf("postgres ended: %s", strings.Join(said, "\n"))
}

// Close ends the server and removes the cluster.
func (c *Cluster) Close() error {
	err := c.stop.Close()
	<-c.log
	_ = c.server.Wait() // it was told to end by a signal, which is its status
	return errors.Join(err, os.RemoveAll(c.dir))
}

// Database makes an empty database and returns its connection string.
func (c *Cluster) Database(ctx context.Context) (dsn string, err error) {
	name := "test" + strconv.FormatInt(c.databases.Add(1), 10)
	return c.dsn(name), c.exec(ctx, "CREATE DATABASE "+name)
}

// Drop removes a database that Database made, with all its connections.
func (c *Cluster) Drop(ctx context.Context, dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	return c.exec(ctx, "DROP DATABASE "+config.Database+" WITH (FORCE)")
}

func (c *Cluster) exec(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

func (c *Cluster) dsn(database string) string {
	u := url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: url.Values{"host": {c.dir}, "user": {"postgres"}, "connect_timeout": {"60"}}.Encode()} // a busy machine is no server that is away
	return u.String()
}

// binaries is the directory of the newest server: Debian keeps each version in its own, outside of PATH.
func binaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrMissing
	}
	return filepath.Dir(path), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for what is no number
	return n
}

// owner gives dir to the user as whom the server runs. It refuses to run as root, for whom Debian's package has made the user postgres.
func owner(dir string) (*syscall.SysProcAttr, error) {
	// Its own process group: a terminal's interrupt is for the tests, which then end the server.
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attributes, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, errors.Join(ErrMissing, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attributes, os.Chown(dir, int(uid), int(gid))
}
