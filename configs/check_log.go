package configs

import "strings"

// maxRedactQuery bounds the list that every query key of every request is held against.
const maxRedactQuery = 256

// maxQueryKey is the longest key that the redaction knows, which is past every real one.
const maxQueryKey = 63

func (c checker) log() {
	for _, o := range []struct{ key, value string }{{"output", c.cfg.Log.Output}, {"access_output", c.cfg.Log.AccessOutput}, {"audit", c.cfg.Log.Audit}} {
		if path := joinKey("log", o.key); !c.bad(path) && c.pos.has(path) && o.value == "" {
			c.value(path, `%s is empty: "stdout", "stderr" or a file`, o.key)
		}
	}
	c.redactQuery()
	if !c.bad("admin.state_dir") && c.pos.has("admin.state_dir") && c.cfg.Admin.StateDir == "" {
		c.value("admin.state_dir", "state_dir is empty")
	}
}

// redactQuery refuses what would hide nothing: a key is compared as it is named, so that "token=" or "a b" would never be met.
func (c checker) redactQuery() {
	const path = "log.redact_query"
	if c.bad(path) {
		return
	}
	if n := len(c.cfg.Log.RedactQuery); n > maxRedactQuery {
		c.value(path, "redact_query has %d names: at most %d", n, maxRedactQuery)
	}
	for i, k := range c.cfg.Log.RedactQuery {
		at := joinIndex(path, i)
		switch {
		case c.bad(at):
		case k == "":
			c.value(at, "redact_query has an empty name")
		case len(k) > maxQueryKey:
			c.value(at, "name of a query parameter is longer than %d bytes", maxQueryKey)
		case strings.ContainsFunc(k, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("=&?;#[].%+", r) }):
			c.value(at, "redact_query %s: write the bare name of one parameter, as it is decoded", c.quote(at, k))
		}
	}
}
