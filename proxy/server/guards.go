package server

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/observe"
)

// guards are the access lists and authentications of a configuration by their names. What two generations have in the same words is the same: its file is
// followed, and who it knows stays known.
type guards struct {
	lists map[string]*followed[configs.AccessList, *auth.AccessList]
	auths map[string]*followed[authConfig, authenticator]
}

// authConfig is what an authentication is made of.
type authConfig struct {
	configs.Auth
	Keep    []string // claims that limits count by
	Secrets [][]byte // that cookies are sealed by, for a login
}

// authenticator is an authentication.
type authenticator interface {
	proxy.Authenticator
	Reload() error
}

// followed is something that reads files, and how that went last.
type followed[C any, G interface{ Reload() error }] struct {
	config C
	guard  G
	failed atomic.Bool // written by rereadGuards, read by scrapes
}

// loginsAtATime leaves half of the processors to everybody else.
func loginsAtATime() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// openGuards opens what old does not have and reads its files.
func (s *Server) openGuards(cfg *configs.Config, old *generation) (*guards, error) {
	before := &guards{}
	if old != nil {
		before = old.guards
	}
	g := &guards{lists: map[string]*followed[configs.AccessList, *auth.AccessList]{}, auths: map[string]*followed[authConfig, authenticator]{}}
	for _, c := range cfg.AccessLists {
		if same := before.lists[c.Name]; same != nil && reflect.DeepEqual(same.config, c) {
			g.lists[c.Name] = same
			continue
		}
		l, err := openAccessList(c)
		if err != nil {
			g.closeBut(before)
			return nil, err
		}
		g.lists[c.Name] = &followed[configs.AccessList, *auth.AccessList]{config: c, guard: l}
	}
	for _, c := range s.authConfigs(cfg) {
		if same := before.auths[c.Name]; same != nil && reflect.DeepEqual(same.config, c) {
			g.auths[c.Name] = same
			continue
		}
		a, err := s.openAuth(c)
		if err != nil {
			g.closeBut(before)
			return nil, err
		}
		g.auths[c.Name] = &followed[authConfig, authenticator]{config: c, guard: a}
	}
	return g, nil
}

func openAccessList(c configs.AccessList) (*auth.AccessList, error) {
	return auth.OpenAccessList(auth.AccessOptions{
		Name: c.Name, Allow: prefixes(c.Allow), Deny: prefixes(c.Deny), AllowFile: c.AllowFile, DenyFile: c.DenyFile,
	})
}

// closeBut ends what others does not go on with.
func (g *guards) closeBut(others *guards) {
	if g == nil {
		return
	}
	for name, a := range g.auths {
		if c, ok := a.guard.(interface{ Close() }); ok && (others == nil || others.auths[name] != a) {
			c.Close()
		}
	}
}

// guards are those in force, nil before the first.
func (s *Server) guards() *guards {
	if current := s.current.Load(); current != nil {
		return current.guards
	}
	return nil
}

// checkGuards does what openGuards does without beginning anything.
func checkGuards(cfg *configs.Config) error {
	for _, c := range cfg.AccessLists {
		if _, err := openAccessList(c); err != nil {
			return err
		}
	}
	s := &Server{logins: auth.NewWork(1)}
	for _, c := range s.authConfigs(cfg) {
		if c.JWKSURL != "" || c.Type == configs.AuthOIDC {
			continue // nothing is asked over the network
		}
		if _, err := s.openAuth(c); err != nil {
			return err
		}
	}
	return nil
}

func prefixes(networks []configs.Network) []netip.Prefix {
	list := make([]netip.Prefix, len(networks))
	for i, n := range networks {
		list[i] = n.Prefix
	}
	return list
}

// listsOf are the access lists of a route.
func (g *guards) listsOf(r *configs.Route) (lists []*auth.AccessList) {
	for _, name := range r.Access {
		lists = append(lists, g.lists[name].guard)
	}
	return lists
}

// guardOf is the authentication of a route, nil for none.
func (g *guards) guardOf(r *configs.Route) *proxy.Guard {
	a := g.auths[r.Auth]
	if a == nil {
		return nil
	}
	c := &a.config
	ours := c.Type == configs.AuthBasic || c.Type == configs.AuthJWT // for the others Authorization is what the client has to tell the upstream
	return &proxy.Guard{Authenticator: a.guard, ForwardAuthorization: c.ForwardCredentials || !ours, ForwardCookies: c.ForwardCredentials}
}

// rereadGuards reads the files of everything in force again; what has a mistake goes on with what it has. Under Server.reloading, after each reload, whatever
// came of it: the file watch knows these files too.
func (s *Server) rereadGuards() {
	g := s.current.Load().guards
	for _, l := range g.lists {
		l.reread(s.log)
	}
	for _, a := range g.auths {
		a.reread(s.log)
	}
	s.rereadWAFs()
}

// good reports whether what the guard goes by was well when it was last read.
func (f *followed[C, G]) good() bool {
	g, asks := any(f.guard).(interface{ Good() bool })
	return !f.failed.Load() && (!asks || g.Good())
}

func (f *followed[C, G]) reread(log *zap.Logger) {
	err := f.guard.Reload()
	f.failed.Store(err != nil)
	if err != nil {
		log.Error("access file refused, what it said before stays in force", observe.Err(err))
	}
}

// guardStats is what scrapes ask for. Before the first configuration there is nothing.
func (s *Server) guardStats() (stats observe.GuardStats) {
	current := s.current.Load()
	if current == nil {
		return stats
	}
	for name, l := range current.guards.lists {
		stats.Access = append(stats.Access, observe.GuardStat{Name: name, Good: l.good()})
	}
	for name, a := range current.guards.auths {
		stats.Auth = append(stats.Auth, observe.GuardStat{Name: name, Good: a.good()})
	}
	return stats
}

// farInTheClear is the host of an http URL that is not on a network of one's own by its address, nor a name without a dot, as containers have them; else "".
func farInTheClear(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" {
		return ""
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil && (ip.IsLoopback() || ip.IsPrivate()) || err != nil && !strings.Contains(host, ".") {
		return ""
	}
	return host
}

// guardWarnings are guards that guard nothing, passwords that travel in the clear, and lists that would see a proxy's address only.
func guardWarnings(cfg *configs.Config) (warnings []string) {
	behind := privateListener(cfg)
	for _, l := range cfg.AccessLists {
		switch {
		case !slices.ContainsFunc(cfg.Routes, func(r configs.Route) bool { return slices.Contains(r.Access, l.Name) }):
			warnings = append(warnings, fmt.Sprintf("access %s is named by no route: it keeps nobody out", l.Name))
		case behind != "":
			warnings = append(warnings, fmt.Sprintf("access %s goes by the client's address, listener %s is on a private address and client_ip.trusted_proxies names nobody: "+
				"if a proxy stands in front, all its clients are one", l.Name, behind))
		}
	}
	for _, a := range cfg.Auths {
		if !slices.ContainsFunc(cfg.Routes, func(r configs.Route) bool { return r.Auth == a.Name }) {
			warnings = append(warnings, fmt.Sprintf("auth %s is named by no route: it keeps nobody out", a.Name))
		}
		if far := farInTheClear(a.URL); far != "" {
			warnings = append(warnings, fmt.Sprintf("auth %s asks %s in the clear: whoever is on the way reads cookies and can let himself in", a.Name, far))
		}
		if a.Type == configs.AuthOIDC && cfg.ClientIP == nil && !slices.ContainsFunc(cfg.Listeners, func(l configs.Listener) bool { return l.TLS }) {
			warnings = append(warnings, fmt.Sprintf("auth %s logs in over https alone: no listener has tls = true, and client_ip.trusted_proxies names nobody who has", a.Name))
		}
		if a.Type == configs.AuthOIDC && a.Allow == nil {
			warnings = append(warnings, fmt.Sprintf("auth %s has no allow: it lets in everybody whom %s knows", a.Name, a.Issuer))
		}
		if a.Type == configs.AuthJWT && len(a.Audience) == 0 {
			warnings = append(warnings, fmt.Sprintf("auth %s names no audience: a token that %s gave for another application is good here", a.Name, a.Issuer))
		}
	}
	return warnings
}
