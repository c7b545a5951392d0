package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/route"
)

// HeaderAudit is what clients see of the security fields of a configuration, by listener and route.
type HeaderAudit struct {
	Answers []AuditedAnswer `json:"answers"`

	plan     *plan
	policies policies
}

// AuditedAnswer is the fields that answers have which come in by a listener and are a route's.
type AuditedAnswer struct {
	Listener string `json:"listener"`
	TLS      bool   `json:"tls"`
	Route    string `json:"route"`  // "-": those that no route made (400, 404, 408)
	Policy   string `json:"policy"` // the [headers.NAME] or preset
	Of       string `json:"of"`     // who names it: route or listener
	// Redirects: the listener answers everything with 308 to https, which is not graded: no browser stays there.
	Redirects bool `json:"redirects"`
	// Fields of an answer whose upstream has none of its own.
	Fields []header.Field `json:"fields"`
	// OnError are those of an answer of weir's own where they are not the same.
	OnError []header.Field `json:"on_error,omitempty"`
	header.Grade

	policy *header.Policy
}

// AuditHeaders compiles the policies of a configuration as a start would and applies them to answers.
func AuditHeaders(path string) (*HeaderAudit, error) {
	cfg, err := configs.Load(path, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	p, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	bare := &Server{indexes: map[string]int{}} // of a server what policies takes
	for _, l := range cfg.Listeners {
		bare.listenerIndex(l.Name)
	}
	a := &HeaderAudit{plan: p, policies: bare.policies(cfg)}
	for i := range cfg.Listeners {
		for j := range cfg.Routes {
			a.Answers = append(a.Answers, a.answer(i, j))
		}
		a.Answers = append(a.Answers, a.answer(i, -1))
	}
	return a, nil
}

// answer audits a route, -1 for no route, at a listener.
func (a *HeaderAudit) answer(listener, route int) AuditedAnswer {
	l := &a.plan.config.Listeners[listener]
	out := AuditedAnswer{Listener: l.Name, TLS: l.TLS, Route: unrouted, Policy: l.Headers, Of: "listener", Redirects: l.Redirect != ""}
	named := ""
	if route >= 0 {
		r := &a.plan.config.Routes[route]
		if out.Route, named = r.Name, r.Headers; named != "" {
			out.Policy, out.Of = named, "route"
		}
	}
	out.policy = a.policies.forRoute(named)[listener]
	out.Fields = []header.Field{}
	if out.policy != nil {
		var none, ours message.Header
		out.Fields = fieldsOf(out.policy.Forward(nil, &none, l.TLS))
		ours.Add("Content-Type", "application/problem+json")
		ours.Add("Cache-Control", "no-store")
		if failed := fieldsOf(out.policy.Answer(nil, &ours, l.TLS)); !slices.Equal(failed, out.Fields) {
			out.OnError = failed
		}
	}
	out.Grade = header.Judge(out.Fields, l.TLS)
	return out
}

// fieldsOf reads lines that a policy wrote.
func fieldsOf(lines []byte) []header.Field {
	fields := []header.Field{}
	for line := range strings.Lines(string(lines)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		fields = append(fields, header.Field{Name: name, Value: value})
	}
	return fields
}

// Find gives the answer that a request to the URL would get; a listener is found by scheme and, if one has it, port.
func (a *HeaderAudit) Find(u *url.URL) (*AuditedAnswer, error) {
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an absolute http or https URL", u)
	}
	path, err := route.Canonical(nil, []byte(pathOf(u)))
	if err != nil {
		return nil, fmt.Errorf("%q: %w", u, err)
	}
	found := -1
	for i, l := range a.plan.config.Listeners {
		if l.TLS != (u.Scheme == "https") {
			continue
		}
		if found < 0 || u.Port() != "" && strings.HasSuffix(l.Address, ":"+u.Port()) {
			found = i
		}
	}
	if found < 0 {
		return nil, errors.New("no listener of the configuration speaks " + u.Scheme)
	}
	answer := a.answer(found, max(-1, a.plan.table.Match([]byte(u.Host), path)))
	return &answer, nil
}

// Differs says what a live answer has otherwise than the policy would leave it: the policy is applied to it, and must find nothing to do.
func (a *AuditedAnswer) Differs(live http.Header) (differences []string) {
	if a.policy == nil {
		return nil
	}
	var h message.Header
	for name, values := range live {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	ours := strings.HasPrefix(live.Get("Content-Type"), "application/problem+json")
	var wanted []header.Field
	if ours {
		wanted = fieldsOf(a.policy.Answer(nil, &h, a.TLS))
	} else {
		wanted = fieldsOf(a.policy.Forward(nil, &h, a.TLS))
	}
	for _, f := range wanted {
		switch values := live.Values(f.Name); {
		case len(values) == 0:
			differences = append(differences, f.Name+" is missing, should be: "+f.Value)
		case len(values) > 1 || !sameBut(values[0], f.Value):
			differences = append(differences, fmt.Sprintf("%s is %q, should be: %s", f.Name, strings.Join(values, ", "), f.Value))
		}
	}
	for name := range live {
		_, left := h.Get(name)
		if !left && !slices.ContainsFunc(wanted, func(f header.Field) bool { return strings.EqualFold(f.Name, name) }) {
			differences = append(differences, name+" is there, should not be")
		}
	}
	slices.Sort(differences)
	return differences
}

// sameBut compares with a value that the policy writes: of a nonce any is good.
func sameBut(live, policy string) bool {
	for {
		before, after, slot := strings.Cut(policy, header.NonceSlot)
		if !strings.HasPrefix(live, before) || !slot {
			return live == policy
		}
		if live = live[len(before):]; len(live) < len(header.NonceSlot) {
			return false
		}
		live, policy = live[len(header.NonceSlot):], after
	}
}
