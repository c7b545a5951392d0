package server

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
)

// keyPause is how often tokens with unknown keys can have the keys fetched.
const keyPause = 10 * time.Second

// authConfigs are the authentications of a configuration, with the claims that limits of their routes count by.
func (s *Server) authConfigs(cfg *configs.Config) []authConfig {
	list := make([]authConfig, len(cfg.Auths))
	for i, a := range cfg.Auths {
		list[i].Auth = a
		if a.Type == configs.AuthOIDC {
			list[i].Secrets = s.cookieSecrets(cfg)
		}
		for _, l := range cfg.Limits {
			for _, part := range l.Key.Parts {
				if part.Source == configs.KeyJWT && !slices.Contains(list[i].Keep, part.Name) {
					list[i].Keep = append(list[i].Keep, part.Name)
				}
			}
		}
	}
	return list
}

// cookieSecrets are what cookies are sealed by: the replicas' own, so that each takes the others' sessions, or that of state_dir.
func (s *Server) cookieSecrets(cfg *configs.Config) (list [][]byte) {
	if k := cfg.Cluster; k != nil && k.Secret != "" {
		list = append(list, []byte(k.Secret.Reveal()))
		if k.PreviousSecret != "" {
			list = append(list, []byte(k.PreviousSecret.Reveal()))
		}
		return list
	}
	return append(list, s.secret)
}

// openAuth opens an authentication.
func (s *Server) openAuth(c authConfig) (authenticator, error) {
	switch c.Type {
	case configs.AuthBasic:
		return auth.OpenBasic(auth.BasicOptions{Name: c.Name, Realm: c.Realm, UsersFile: c.UsersFile, Work: s.logins})
	case configs.AuthMTLS:
		o := auth.MTLSOptions{Name: c.Name}
		if a := c.Allow; a != nil {
			o.Subject, o.DNS, o.URI, o.Email = a.Subject, a.DNS, a.URI, a.Email
		}
		return auth.NewMTLS(o)
	case configs.AuthForward:
		return auth.NewForward(auth.ForwardOptions{
			Name: c.Name, URL: c.URL, CA: c.CAPEM, RequestHeaders: c.RequestHeaders, ResponseHeaders: c.ResponseHeaders, UserHeader: c.UserHeader, Timeout: c.Timeout,
		})
	}
	if c.Type == configs.AuthOIDC {
		return s.openLogin(c)
	}
	return auth.OpenJWT(auth.JWTOptions{
		Name: c.Name, Realm: c.Realm, Issuer: c.Issuer, Audience: c.Audience, KeysFile: c.KeysFile, Algorithms: c.Algorithms, Leeway: c.Leeway,
		Cookie: c.Cookie, UserClaim: c.UserClaim, Require: fieldMap(c.Require), Headers: fieldMap(c.ClaimHeaders), Keep: c.Keep,
		Remote: auth.RemoteOptions{URL: c.JWKSURL, CA: c.CAPEM, Refresh: c.JWKSRefresh, Pause: keyPause, Failed: func(err error) {
			s.log.Error("keys of tokens not fetched, those that are there stay in force", zap.String("weir.auth", c.Name), observe.Err(err))
		}},
	})
}

func (s *Server) openLogin(c authConfig) (authenticator, error) {
	o := auth.OIDCOptions{
		Name: c.Name, Realm: c.Realm, Issuer: c.Issuer, CA: c.CAPEM, ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), Scopes: c.Scopes,
		Callback: c.Callback, Logout: c.Logout, LogoutRedirect: c.LogoutRedirect, Session: c.Session, Leeway: c.Leeway,
		UserClaim: c.UserClaim, Headers: fieldMap(c.ClaimHeaders), Keep: c.Keep, Secrets: c.Secrets, Pause: keyPause,
		Failed: func(err error) {
			s.log.Error("provider of logins not found, sessions go on", zap.String("weir.auth", c.Name), observe.Err(err))
		},
	}
	if a := c.Allow; a != nil {
		o.Email, o.Groups = a.Email, a.Groups
	}
	return auth.OpenOIDC(o)
}

// loginRoutes wants the paths of every login routed to it, at each host that it guards: else a provider would send browsers to somebody else, with a code.
func loginRoutes(cfg *configs.Config, table *route.Table) error {
	for _, r := range cfg.Routes {
		i := slices.IndexFunc(cfg.Auths, func(a configs.Auth) bool { return a.Name == r.Auth && a.Type == configs.AuthOIDC })
		if i < 0 {
			continue
		}
		hosts := r.Hosts
		if len(hosts) == 0 {
			hosts = []string{"any.invalid"} // RFC 2606: no route is for it by name
		}
		for _, host := range hosts {
			for _, path := range []string{cfg.Auths[i].Callback, cfg.Auths[i].Logout} {
				to := table.Match([]byte(strings.Replace(host, "*", "any", 1)), []byte(path))
				if to < 0 || cfg.Routes[to].Auth != r.Auth {
					return fmt.Errorf("auth %s of route %s: a request for %s must reach a route with this auth too, at host %s: add a [[route]] with path = %q", r.Auth, r.Name, path, host, "="+path)
				}
			}
		}
	}
	return nil
}

func fieldMap(set configs.FieldSet) map[string]string {
	m := make(map[string]string, len(set))
	for _, f := range set {
		m[f.Name] = f.Value
	}
	return m
}
