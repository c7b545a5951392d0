package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// many is "never" for limits on requests per connection.
const many = 1000000000

// nginxTop is what nginx as proxy and as origin share. The temporary folders are inside dir because
// the compiled-in ones belong to the system's nginx; "user root" only silences what root's workers
// would lose by becoming nobody: access to dir.
func nginxTop(dir string, connections uint64) string {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "  %s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	return fmt.Sprintf(`daemon off;
worker_processes 1;
%spid %s;
error_log %s error;
events { worker_connections %d; }
http {
%s  keepalive_requests %d;
  keepalive_timeout 300s;
`, user, filepath.Join(dir, "nginx.pid"), filepath.Join(dir, "error.log"), connections, temp.String(), many)
}

// nginx is tuned as measurement showed best for it. Request bodies up to 128 KiB stay in memory
// instead of a temporary file. Responses are buffered as by default, but never to disk and in larger
// buffers: with the default of 8 × 4 KiB a 100 MiB body costs it more than twice the CPU, and smaller
// steps (32 KiB with the default head buffer, 8 × 64 KiB) lay in between. Reading request bodies
// unbuffered (proxy_request_buffering off) did not help its 64 KiB POSTs.
func (j Job) nginx(dir string) string {
	var b strings.Builder
	b.WriteString(nginxTop(dir, j.Files-100))
	if j.Log {
		fmt.Fprintf(&b, "  access_log %s combined buffer=64k flush=1s;\n", filepath.Join(dir, "access.log"))
	} else {
		b.WriteString("  access_log off;\n")
	}
	b.WriteString("  client_body_buffer_size 128k;\n  client_max_body_size 0;\n" +
		"  proxy_buffers 16 32k;\n  proxy_buffer_size 16k;\n  proxy_max_temp_file_size 0;\n")
	if j.Most > 0 { // it has no queue: what is beyond is 503 at once
		b.WriteString("  limit_conn_zone $server_name zone=edge:64k;\n  limit_conn_status 503;\n  limit_conn_log_level info;\n")
	}
	b.WriteString("  upstream origin {\n")
	if len(j.Origins) > 1 {
		b.WriteString("    zone origin 64k;\n    least_conn;\n")
	}
	for _, o := range j.Origins {
		fmt.Fprintf(&b, "    server %v max_fails=0;\n", o)
	}
	fmt.Fprintf(&b, "    keepalive 512;\n    keepalive_requests %d;\n  }\n", many)
	fmt.Fprintf(&b, "  server {\n    listen %v%s backlog=16384;\n", j.Listen, j.nginxTLS())
	if j.TLS != nil {
		fmt.Fprintf(&b, "    ssl_certificate %s;\n    ssl_certificate_key %s;\n    ssl_protocols TLSv1.3;\n"+
			"    ssl_conf_command Ciphersuites %s;\n", j.TLS.Cert, j.TLS.Key, CipherSuite)
	}
	if j.Most > 0 {
		fmt.Fprintf(&b, "    server_name edge;\n    limit_conn edge %d;\n", j.Most)
	}
	if j.Web != "" { // as its documentation recommends; no open_file_cache, so that each request opens its file, as weir's does
		fmt.Fprintf(&b, "    root %s;\n    sendfile on;\n    tcp_nopush on;\n  }\n}\n", j.Web)
		return b.String()
	}
	b.WriteString(`    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Request-ID $request_id;
    }
  }
}
`)
	return b.String()
}

func (j Job) nginxTLS() string {
	switch {
	case j.TLS == nil:
		return ""
	case j.H2:
		return " ssl http2"
	default:
		return " ssl"
	}
}
