package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

func (a *api) status(*http.Request) (answer, error) {
	s := a.control.Status()
	return answer{body: s}, nil
}

func (a *api) services(*http.Request) (answer, error) {
	list := a.control.Status().Services
	if list == nil {
		list = []Service{}
	}
	return answer{body: list}, nil
}

func (a *api) service(r *http.Request) (answer, error) {
	s, err := a.control.Service(r.PathValue("s"))
	return answer{body: s, tag: s.Version}, err
}

func (a *api) config(*http.Request) (answer, error) {
	c := a.control.Config()
	return answer{body: c, tag: c.Version}, nil
}

func (a *api) certificates(*http.Request) (answer, error) {
	list := a.control.Certificates()
	if list == nil {
		list = []Certificate{}
	}
	return answer{body: list}, nil
}

func (a *api) ech(*http.Request) (answer, error) { return answer{body: a.control.ECH()}, nil }

func (a *api) cspReports(*http.Request) (answer, error) {
	return answer{body: a.control.CSPReports()}, nil
}

func (a *api) errors(*http.Request) (answer, error) {
	return answer{body: a.control.Errors()}, nil
}

// explain is a POST for its body; it changes nothing, so the audit log does not mention it.
func (a *api) explain(w http.ResponseWriter, r *http.Request) {
	ans, err := a.explained(w, r)
	a.finish(w, r, ans, err)
}

func (a *api) explained(w http.ResponseWriter, r *http.Request) (answer, error) {
	body, err := readBody(w, r)
	if err != nil {
		return answer{}, err
	}
	q, err := parseExplain(body)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.timeout)
	defer cancel()
	e, err := a.control.Explain(ctx, q)
	if e.Steps == nil {
		e.Steps = []Step{}
	}
	return answer{body: e}, err
}

// parseExplain reads and checks the description, so that a Control sees only requests that could be sent.
func parseExplain(body []byte) (ExplainRequest, error) {
	var q ExplainRequest
	if err := oneObject(body, "read explain request", &q); err != nil {
		return q, err
	}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if q.ClientIP == "" {
		q.ClientIP = "127.0.0.1"
	}
	bad := &InvalidError{Title: "request not explainable"}
	// A method is a token (RFC 9110 §9.1), which is what a field name is too.
	if !httpguts.ValidHeaderFieldName(q.Method) {
		bad.add("method", fmt.Sprintf("method %q is not a token", q.Method))
	}
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		bad.add("url", fmt.Sprintf("url %q is not absolute: give scheme and host, http://HOST/PATH", q.URL))
	}
	if _, err := netip.ParseAddr(q.ClientIP); err != nil {
		bad.add("client_ip", fmt.Sprintf("client_ip %q is not an IP address", q.ClientIP))
	}
	for _, h := range q.Headers {
		if !httpguts.ValidHeaderFieldName(h.Name) || !httpguts.ValidHeaderFieldValue(h.Value) {
			bad.add("headers", fmt.Sprintf("header %q: %q cannot be sent", h.Name, h.Value))
		}
	}
	return q, bad.orNil()
}

func (a *api) live(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok\n")
}

// ready answers one word, or with ?verbose a line for each check, in the form Kubernetes' own probes have.
func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	var b strings.Builder
	status, verdict := http.StatusOK, "ok\n"
	for _, c := range a.control.Ready() {
		mark := "[+]" + c.Name + " ok"
		if !c.OK {
			status, verdict = http.StatusServiceUnavailable, "not ready\n"
			mark = "[-]" + c.Name + " failed"
		}
		if c.Detail != "" {
			mark += ": " + c.Detail
		}
		b.WriteString(mark + "\n")
	}
	if r.URL.Query().Has("verbose") {
		verdict = b.String() + verdict
	}
	plain(w, status, verdict)
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
