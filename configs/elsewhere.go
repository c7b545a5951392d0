package configs

import (
	"regexp"
	"slices"
	"strings"
)

// elsewhere says what stands here for a key that nginx, HAProxy, Caddy or Traefik have in such a table, as "; …"; "" if it is none of theirs.
func elsewhere(table, key string) string {
	var kind []string
	for i, s := range splitPath(table) {
		// The names of services, groups and the like are the user's: service.NAME.group.NAME.
		if !strings.HasPrefix(s, "[") && (i%2 == 0 || kind[0] == "tls") {
			kind = append(kind, s)
		}
	}
	for _, w := range foreignWords() {
		if w.table == strings.Join(kind, ".") && slices.Contains(strings.Fields(w.keys), strings.ToLower(key)) {
			return "; " + w.here
		}
	}
	return ""
}

// foreignWord is what keys of other proxies' languages, in lower case, are in a table of this one, named without the user's own names.
type foreignWord struct{ table, keys, here string }

func foreignWords() []foreignWord {
	const certificates = "certificates are [[tls.certificate]] with cert and key, or [tls.acme]"
	return []foreignWord{
		{"", "server servers site sites http frontend frontends entrypoint entrypoints", `where it listens is a [[listener]], what it serves are [[route]] tables with host and path`},
		{"", "upstream upstreams backend backends clusters pool pools loadbalancer", `write [service.NAME.group.blue] with targets = ["IP:PORT"]`},
		{"", "location locations router routers handle vhost", "write [[route]] with host and path"},
		{"", "worker_processes worker_connections worker_rlimit_nofile events global defaults nbproc nbthread", "one process uses every processor; connections are bounded by max_connections of a [[listener]]"},
		{"", "ssl acme letsencrypt certificatesresolvers certificate certificates", certificates},
		{"", "ratelimit rate_limit limit_req limit_req_zone", `write [limit.NAME] with rate = "10/s", and limits = ["NAME"] in a route`},
		{"", "logging access_log accesslog error_log", `write [log] with access = "combined" or "json" and output = "/var/log/weir.log"`},
		{"", "metrics prometheus api dashboard", "metrics and the dashboard are at the address of [admin]"},
		{"listener", "listen bind port addr host", `it is address = "IP:PORT", or ":PORT" for every address`},
		{"listener", "ssl https", "it is tls = true"},
		{"listener", "ssl_certificate ssl_certificate_key certificate certificates cert key crt", certificates},
		{"listener", "server_name hosts domain domains", `hosts are a route's: host = ["example.com"]`},
		{"listener", "http2 http3 quic h2 alpn", `it is protocols = ["http/1.1", "h2", "h3"]`},
		{"listener", "default_backend service route routes", `a [[route]] says which service answers; routes hold on every listener`},
		{"route", "proxy_pass reverse_proxy backend use_backend upstream proxy target targets to url", `what answers is a [service.NAME] with [service.NAME.group.blue] targets = ["IP:PORT"], named here by service = "NAME"`},
		{"route", "server_name domain domains rule match", `it is host = ["example.com"] and path = "/x", "=/x" or "~^/x"`},
		{"route", "location paths prefix pathprefix uri", `it is path = "/x", "=/x" or "~^/x", one to a route`},
		{"route", "method methods", "routes go by host and path, whatever the method"},
		{"route", "client_max_body_size request_body", "it is max_body"},
		{"route", "proxy_read_timeout read_timeout send_timeout", "it is timeout here, response_timeout and idle_timeout in the service"},
		{"route", "root file_server static alias index try_files", `it is files = { root = "/srv", fallback = "index.html" }, in place of service`},
		{"route", "gzip brotli encode compression", `it is compress = ["zstd", "br", "gzip"]`},
		{"route", "auth_basic basic_auth basicauth auth_request forward_auth forwardauth jwt oidc", `who may come in is an [auth.NAME] (type = "basic", "jwt", "oidc", "forward" or "mtls"), named here by auth = "NAME"`},
		{"route", "allow deny ipallowlist ipwhitelist", `addresses are an [access.NAME] with allow and deny, named here by access = ["NAME"]`},
		{"route", "limit_req limit_conn rate_limit ratelimit rate", `it is limits = ["NAME"], of [limit.NAME] with rate = "10/s"`},
		{"route", "add_header header set_header cors", `fields of answers are a [headers.NAME], named here by headers = "NAME"`},
		{"route", "proxy_set_header request_headers", "what services are sent of the client is fixed: X-Forwarded-For, -Proto, -Host, -Port, X-Real-IP, X-Request-ID"},
		{"route", "rewrite strip_prefix stripprefix handle_path uri_strip_prefix replacepath", "weir passes paths on as they came"},
		{"route", "return redirect redir", `only redirects to https are made: redirect = "https" in the [[listener]]`},
		{"route", "websocket websockets upgrade grpc", "it needs no key: upgrades and streams pass"},
		{"service", "targets target servers server url urls upstreams", `targets stand in a group: [service.NAME.group.blue] with targets = ["IP:PORT"]`},
		{"service", "healthcheck health_check check option", `it is health = { path = "/healthz", interval = "2s" }`},
		{"service", "lb_policy algorithm load_balancing least_conn ip_hash", `it is balance, as "least_conn" or "hash:client_ip"`},
		{"service", "max_fails fail_timeout outlier_detection", `it is ejection = { consecutive = 5, base = "5s" }`},
		{"service", "max_conns maxconn queue", "it is breaker = { max_requests = 100, max_queue = 50 }"},
		{"service", "timeout proxy_read_timeout read_timeout", "it is response_timeout, to the head of the answer, and idle_timeout; timeout is a route's"},
		{"service", "proxy_connect_timeout dial_timeout", "it is connect_timeout"},
		{"service", "keepalive keepalive_timeout max_idle_conns", "connections are kept by themselves, for idle_timeout at most"},
		{"service", "scheme", `it is protocol = "https"`},
		{"service", "proxy_next_upstream retries try_duration", "it is retry = { attempts = 2, budget = 0.2 }"},
		{"service.group", "server servers backend backends url urls upstreams addresses endpoints", `it is targets = ["IP:PORT"]`},
		{"limit", "zone nodelay period average requests", `it is rate = "10/s" and burst = 20; what is more is 429 at once`},
		{"log", "format", `it is access = "json", "combined" or "off"`},
		{"log", "access_log error_log file path filename", `it is output = "/var/log/weir.log"; access_output gives the access log a file of its own`},
		{"tls.acme", "domains domain hosts host", "certificates are for the names in host of the routes"},
		{"tls", "cert key cert_file key_file certificates", certificates},
	}
}

// looksLike says in what other language a file seems to be written that cannot be TOML, as "; …"; "" if in none.
func looksLike(data []byte) string {
	for _, l := range []struct{ sign, is string }{
		{`\A\s*\{\s*["}]`, "JSON"},
		{`(?m)^\s*(server|http|events|upstream|location)\b[^=\n]*\{`, "a file of nginx"},
		{`(?m)^([\w:*./@-][^=\[#"\n]*)?\{\s*$`, "a Caddyfile"},
		{`(?m)^(global|defaults|frontend|backend|listen)\b[^=\n]*$`, "a file of HAProxy"},
		{`(?m)^[A-Za-z]\w*:(\s|$)`, "YAML"},
	} {
		switch {
		case !regexp.MustCompile(l.sign).Match(data):
		case l.is == "a file of nginx":
			return "; this looks like a file of nginx: weir import nginx FILE translates it"
		default:
			return "; this looks like " + l.is + `: a configuration is TOML, as [[listener]] and below it address = ":8080"`
		}
	}
	return ""
}
