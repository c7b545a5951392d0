package configs

import (
	"errors"
	"strings"
)

// StickySource is what a client is known by.
type StickySource string

// What a client is known by.
const (
	StickyOff      StickySource = "off"
	StickyOwn      StickySource = "cookie" // a cookie of our own
	StickyHeader   StickySource = "header"
	StickyCookie   StickySource = "cookie:"
	StickyClientIP StickySource = "client_ip"
)

// Sticky says what a client is known by and, of a header or a cookie of the application's, its name.
type Sticky struct {
	Source StickySource
	Name   string
}

// String gives it as it is written in the file: "off", "cookie", "header:X-Tenant".
func (s Sticky) String() string {
	switch s.Source {
	case StickyHeader:
		return "header:" + s.Name
	case StickyCookie:
		return "cookie:" + s.Name
	}
	return string(s.Source)
}

func (s *Sticky) parseText(text string) error {
	source, name, named := strings.Cut(text, ":")
	switch {
	case !named && (text == "off" || text == "cookie" || text == "client_ip"):
		*s = Sticky{Source: StickySource(text)}
		return nil
	case source == "header" || named && source == "cookie":
		if !isToken(name) {
			return errors.New("needs the name of a " + source + ", as " + source + ":NAME")
		}
		*s = Sticky{Source: StickyHeader, Name: name}
		if source == "cookie" {
			s.Source = StickyCookie
		}
		return nil
	case named && (source == "off" || source == "client_ip"):
		return errors.New("takes no name")
	}
	return errors.New("is not one of: off, cookie, header:NAME, cookie:NAME, client_ip" + didYouMean(source, []string{"off", "cookie", "header", "client_ip"}))
}

// Match sends requests to a group whatever the weights say, for those who test it. One of the two is enough.
// Whoever knows the value can ask for the group: where not everybody may, let it be one that nobody guesses.
type Match struct {
	// "NAME: VALUE" of a header, as "X-Weir-Group: green"; the value is compared whole.
	Header string `toml:"header"`
	// "NAME=VALUE" of a cookie, as "weir_group=green".
	Cookie string `toml:"cookie"`
}

// HeaderPair is the header's name and value, empty without one.
func (m *Match) HeaderPair() (name, value string) {
	name, value, _ = strings.Cut(m.Header, ":")
	return name, strings.Trim(value, " \t")
}

// CookiePair is the cookie's name and value, empty without one.
func (m *Match) CookiePair() (name, value string) {
	name, value, _ = strings.Cut(m.Cookie, "=")
	return name, value
}

func (c checker) matches(s *Service) {
	seen := map[string]string{}
	for i := range s.Groups {
		m := s.Groups[i].Match
		if m == nil {
			continue
		}
		path := joinKey(joinKey(joinKey(joinKey("service", s.Name), "group"), s.Groups[i].Name), "match")
		header, cookie := joinKey(path, "header"), joinKey(path, "cookie")
		if c.bad(path) || c.bad(header) || c.bad(cookie) {
			continue
		}
		if m.Header == "" && m.Cookie == "" {
			c.key(path, `match needs header = "NAME: VALUE" or cookie = "NAME=VALUE"`)
		}
		if name, value := m.HeaderPair(); m.Header != "" {
			if !isToken(name) || !isFieldText(value) {
				c.value(header, `header %s is not "NAME: VALUE"`, c.quote(header, m.Header))
			}
			c.once(seen, header, "header "+strings.ToLower(name)+": "+value)
		}
		if name, value := m.CookiePair(); m.Cookie != "" {
			if !isToken(name) || !isFieldText(value) || strings.ContainsAny(value, "; ,\"\\") {
				c.value(cookie, `cookie %s is not "NAME=VALUE"`, c.quote(cookie, m.Cookie))
			}
			c.once(seen, cookie, "cookie "+m.Cookie)
		}
	}
}

// once refuses what would send the same request to two groups.
func (c checker) once(seen map[string]string, path, what string) {
	if other, twice := seen[what]; twice {
		c.value(path, "another group has the same match, on line %d", c.pos.value(other).line)
	}
	seen[what] = path
}

// isFieldText: visible ASCII and single inner spaces, which every header value that a person types is made of.
func isFieldText(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f })
}
