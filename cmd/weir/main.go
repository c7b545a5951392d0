// Command weir is the edge and the tool to operate it.
//
// This package is flags, verbs, signals and exit codes. It refuses to hold logic: serving is proxy/server,
// asking a running weir is internal/client, printing its answers is internal/show.
//
// Exit codes: 0 ok, 1 invalid configuration, failed start or a refused request, 2 usage, 3 the drain deadline
// was hit.
package main

import (
	"context"
	"os"
)

func main() {
	// quic-go would tell standard error about UDP buffers; the same is one of weir's own warnings, where warnings are looked for.
	_ = os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // fails for malformed names only
	sh := &shell{stdout: os.Stdout, stderr: os.Stderr, env: os.LookupEnv, self: os.Args[0]}
	os.Exit(sh.execute(context.Background(), os.Args[1:]))
}
