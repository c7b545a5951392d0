package peer

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// Answer is the origin's small body: about the size of an API's status answer.
const Answer = `{"service":"weirbench","status":"ok","detail":"a small answer of about ninety bytes ......"}`

// Paths of the origin.
const (
	PathSmall = "/"      // Answer
	PathEcho  = "/echo"  // the forwarding headers it received, one per line
	PathSink  = "/sink"  // reads a POST's whole body, then answers
	Path1M    = "/1m"    // 1 MiB of zeros
	Path100M  = "/100m"  // 100 MiB of zeros
	PathOwn   = "/ready" // 200 once it serves
)

// StartOrigin starts the nginx all proxies forward to, on the given core.
func StartOrigin(ctx context.Context, dir string, core int, files uint64) (*Running, error) {
	addr, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	h2, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	binary, err := Binary(Nginx, "")
	if err != nil {
		return nil, err
	}
	conf, err := writeConfig(dir, "nginx.conf", originConfig(dir, addr, h2, files))
	if err != nil {
		return nil, err
	}
	for path, size := range map[string]int64{Path1M: 1 << 20, Path100M: 100 << 20} {
		if err := zeros(filepath.Join(dir, path), size); err != nil {
			return nil, err
		}
	}
	args := []string{"-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", conf}
	r, err := start(ctx, "origin", dir, proc.Command{Path: binary, Args: args, Core: core}, addr)
	if err != nil {
		return nil, err
	}
	r.H2 = h2
	return r, nil
}

// zeros makes a sparse file: the kernel serves its pages like any other's, and the disk holds none.
func zeros(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make body: %w", err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return fmt.Errorf("make body: %w", err)
	}
	return nil
}

// originConfig: the sink forwards a bodiless GET to itself because nginx's own "return" would answer
// before it has read the request's body, and the proxy would be measured on early answers.
func originConfig(dir string, addr, h2 netip.AddrPort, files uint64) string {
	self := filepath.Join(dir, "self.sock")
	var b strings.Builder
	b.WriteString(nginxTop(dir, files-100))
	fmt.Fprintf(&b, `  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=16;
  default_type application/json;
  client_body_buffer_size 128k;
  client_max_body_size 0;
  root %s;
  upstream self { server unix:%s; keepalive 128; keepalive_requests %d; }
  server {
    listen %v backlog=16384;
    listen %v http2 backlog=16384;
    location = %s { return 200 '%s'; }
    location = %s { return 200 'ready'; }
    location = %s {
      default_type text/plain;
      return 200 "x-forwarded-for: $http_x_forwarded_for\nx-forwarded-proto: $http_x_forwarded_proto\nx-forwarded-host: $http_x_forwarded_host\nx-request-id: $http_x_request_id\n";
    }
    location = %s {
      proxy_pass http://self/;
      proxy_http_version 1.1;
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
    }
  }
  server { listen unix:%s; location / { return 200 'taken'; } }
}
`, dir, self, many, addr, h2, PathSmall, Answer, PathOwn, PathEcho, PathSink, self)
	return b.String()
}
