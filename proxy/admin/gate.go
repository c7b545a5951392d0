package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// gate lets requests in or not, before any routing.
type gate struct {
	hosts  []string
	origin *http.CrossOriginProtection
	// token is the SHA-256 of the bearer token, nil without one. Written by setToken, read by every request.
	// The digest makes the comparison's time independent of the token's length as well as its bytes.
	token atomic.Pointer[[sha256.Size]byte]
}

func newGate(hosts []string) *gate {
	g := &gate{origin: http.NewCrossOriginProtection()}
	for _, h := range hosts {
		g.hosts = append(g.hosts, strings.ToLower(h))
	}
	return g
}

// setToken reports whether the token is another one than before.
func (g *gate) setToken(token string) (changed bool) {
	if token == "" {
		return g.token.Swap(nil) != nil
	}
	sum := sha256.Sum256([]byte(token))
	was := g.token.Swap(&sum)
	return was == nil || *was != sum
}

func (g *gate) hasToken() bool { return g.token.Load() != nil }

// wrap refuses what a browser was tricked into sending, then what lacks the token. The order matters: a page
// of another origin learns nothing about whether a token is set.
func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !g.hostAllowed(r) {
			problem(http.StatusMisdirectedRequest, "this Host is not served here (DNS rebinding protection): "+
				"use an IP address or localhost").write(w, r)
			return
		}
		if err := g.origin.Check(r); err != nil {
			problem(http.StatusForbidden, "cross-origin requests may not change anything").write(w, r)
			return
		}
		if !isOpen(r) && !g.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="weir"`)
			problem(http.StatusUnauthorized, "a bearer token is needed: Authorization: Bearer TOKEN").write(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed defends a loopback listener against DNS rebinding: a page of evil.example whose name suddenly
// resolves to 127.0.0.1 is same-origin with this API, but its Host still says evil.example. Listeners that
// others can reach have a token, which such a page does not know, and no browser talks to a unix socket.
func (g *gate) hostAllowed(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if local == nil || !local.IP.IsLoopback() {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(g.hosts, host)
}

func (g *gate) authorized(r *http.Request) bool {
	want := g.token.Load()
	if want == nil {
		return true
	}
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// isOpen names what needs no token: probes, which a kubelet sends without one and whose plain form says one
// word, and the static files of the page, which hold no state.
func isOpen(r *http.Request) bool {
	switch r.URL.Path {
	case "/livez", "/":
		return true
	case "/readyz":
		return !r.URL.Query().Has("verbose")
	default:
		return strings.HasPrefix(r.URL.Path, "/page/")
	}
}
