package configs

import (
	"net/url"
	"slices"
	"strings"
)

// forward checks an authentication by a service.
func (c checker) forward(a *Auth, path string) {
	c.needs(a, path, "url")
	if at := joinKey(path, "url"); c.pos.has(at) && !c.bad(at) {
		u, err := url.Parse(a.URL)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			c.value(at, "url %s is not an absolute http or https URL without user information and fragment", c.quote(at, a.URL))
		}
	}
	c.forwardFields(joinKey(path, "request_headers"), a.RequestHeaders, func(low string) string {
		if strings.HasPrefix(low, "x-forwarded-") || strings.HasPrefix(low, "x-original-") {
			return "is weir's own to write"
		}
		if slices.Contains([]string{"host", "forwarded", "x-real-ip", "expect", "range"}, low) || strings.HasPrefix(low, "if-") {
			return "is never sent"
		}
		return ""
	})
	c.forwardFields(joinKey(path, "response_headers"), a.ResponseHeaders, notForUpstreams)
	if at := joinKey(path, "user_header"); !c.bad(at) && !isToken(a.UserHeader) {
		c.value(at, "user_header %s is no field name", c.quote(at, a.UserHeader))
	}
	c.authCA(a, path)
}

// notForUpstreams: a field that weir or the client's message has a use for is nobody else's. X-Forwarded-User is, if the service says it.
func notForUpstreams(low string) string {
	if slices.Contains([]string{"host", "cookie", "content-type", "content-encoding", "forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
		"x-forwarded-port", "expect", "date", "set-cookie"}, low) {
		return "is not for the upstream"
	}
	return ""
}

func (c checker) forwardFields(path string, names []string, refuse func(low string) string) {
	c.emptyList(path, len(names))
	var seen []string
	for i, name := range names {
		at := joinIndex(path, i)
		if c.bad(at) {
			continue
		}
		low := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
		wrong := fieldName(name)
		if wrong == "" {
			wrong = refuse(low)
		}
		if wrong == "" && slices.Contains(seen, low) {
			wrong = "is named twice"
		}
		if wrong != "" {
			c.value(at, "field %s %s", c.quote(at, name), wrong)
		}
		seen = append(seen, low)
	}
}
