package server

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/observe"
)

// keyPause is how often tokens with unknown keys can have the keys fetched.
const keyPause = 10 * time.Second

// authConfigs are the authentications of a configuration, with the claims that limits of their routes count by.
func authConfigs(cfg *configs.Config) []authConfig {
	list := make([]authConfig, len(cfg.Auths))
	for i, a := range cfg.Auths {
		list[i].Auth = a
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
	}
	return auth.OpenJWT(auth.JWTOptions{
		Name: c.Name, Realm: c.Realm, Issuer: c.Issuer, Audience: c.Audience, KeysFile: c.KeysFile, Algorithms: c.Algorithms, Leeway: c.Leeway,
		Cookie: c.Cookie, UserClaim: c.UserClaim, Require: fieldMap(c.Require), Headers: fieldMap(c.ClaimHeaders), Keep: c.Keep,
		Remote: auth.RemoteOptions{URL: c.JWKSURL, CA: c.CAPEM, Refresh: c.JWKSRefresh, Pause: keyPause, Failed: func(err error) {
			s.log.Error("keys of tokens not fetched, those that are there stay in force", zap.String("weir.auth", c.Name), observe.Err(err))
		}},
	})
}

func fieldMap(set configs.FieldSet) map[string]string {
	m := make(map[string]string, len(set))
	for _, f := range set {
		m[f.Name] = f.Value
	}
	return m
}
