package edgetls

import (
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap/zapcore"
)

// recorder is the http.ResponseWriter that certmagic's challenge handler writes to.
type recorder struct {
	header http.Header
	body   []byte
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}

// WriteHeader implements http.ResponseWriter; the handler answers only what is 200.
func (r *recorder) WriteHeader(int) {}

func pathURL(path string) *url.URL { return &url.URL{Path: path} }

// bracketed is a name as a Host field has it.
func bracketed(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// demote makes every line a debug line: what an operator needs of an order is said once, in words, by its keeper.
func demote(core zapcore.Core) zapcore.Core { return demoted{core} }

type demoted struct{ zapcore.Core }

// Enabled implements zapcore.LevelEnabler.
func (d demoted) Enabled(zapcore.Level) bool { return d.Core.Enabled(zapcore.DebugLevel) }

// With implements zapcore.Core.
func (d demoted) With(fields []zapcore.Field) zapcore.Core { return demoted{d.Core.With(fields)} }

// Check implements zapcore.Core.
func (d demoted) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	e.Level = zapcore.DebugLevel
	return d.Core.Check(e, ce)
}
