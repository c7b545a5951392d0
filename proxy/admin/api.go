package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
)

// api holds what the endpoints share. Immutable.
type api struct {
	control Control
	log     *zap.Logger
	audit   *zap.Logger
	timeout time.Duration
	gate    *gate
	hub     *hub
	streams *streams
}

// answer is a successful reply. A tag given by the endpoint is the version of what a write can change; with
// none, the tag is a hash of the representation.
type answer struct {
	status int
	body   any
	tag    string
}

// read answers a safe request.
type read func(r *http.Request) (answer, error)

// write answers a request that changes something. It leaves in the record what the audit log is to say.
type write func(ctx context.Context, c command) (answer, error)

// command is one write as its endpoint sees it.
type command struct {
	Change
	request *http.Request
	body    []byte
	record  *record
}

// record is what the audit log says of a write beyond who and how it ended.
type record struct{ subject, before, after string }

// methods maps the methods of one path to their handlers.
type methods map[string]http.HandlerFunc

// routes is the whole API. Every path is registered for all methods, so that a wrong method gets a problem
// and not the mux's plain text.
func (a *api) routes(metrics http.Handler) http.Handler {
	table := map[string]methods{
		"/v1/status":         {"GET": a.read(a.status)},
		"/v1/services":       {"GET": a.read(a.services)},
		"/v1/services/{s}":   {"GET": a.read(a.service)},
		"/v1/config":         {"GET": a.read(a.config)},
		"/v1/certificates":   {"GET": a.read(a.certificates)},
		"/v1/ech":            {"GET": a.read(a.ech)},
		"/v1/csp-reports":    {"GET": a.read(a.cspReports)},
		"/v1/errors":         {"GET": a.read(a.errors)},
		"/v1/requests":       {"GET": a.read(a.requests)},
		"/v1/events":         {"GET": a.events},
		"/v1/tap":            {"GET": a.tap},
		"/v1/incidents":      {"GET": a.read(a.incidents)},
		"/v1/incidents/{id}": {"GET": a.read(a.incident)},
		"/v1/explain":        {"POST": a.explain},
		"/v1/reload":         {"POST": a.write("reload", a.reload), "DELETE": a.write("revert reload", a.revertReload)},
		"/v1/reload/confirm": {"POST": a.write("confirm reload", a.confirmReload)},
		"/v1/plan":           {"POST": a.write("plan", a.plan)},
		"/v1/stop":           {"POST": a.write("stop", a.stop)},
		"/v1/upgrade":        {"POST": a.write("upgrade", a.upgrade)},
		"/v1/logs/reopen":    {"POST": a.write("reopen logs", a.reopenLogs)},
		"/livez":             {"GET": a.live},
		"/readyz":            {"GET": a.ready},
		"/{$}":               {"GET": a.page},
		"/page/{file}":       {"GET": a.page},
		"/v1/services/{s}/weights": {
			"PUT":    a.write("set weights", a.setWeights),
			"DELETE": a.write("reset weights", a.resetWeights),
		},
		"/v1/services/{s}/rollout": {
			"GET":    a.read(a.rollout),
			"POST":   a.write("start rollout", a.startRollout),
			"DELETE": a.write("abort rollout", a.tellRollout(RolloutAbort)),
		},
		"/v1/services/{s}/shadow": {
			"GET":    a.read(a.shadow),
			"DELETE": a.write("reset shadow", a.resetShadow),
		},
		"/v1/services/{s}/rollout/pause":   {"POST": a.write("pause rollout", a.tellRollout(RolloutPause))},
		"/v1/services/{s}/rollout/resume":  {"POST": a.write("resume rollout", a.tellRollout(RolloutResume))},
		"/v1/services/{s}/rollout/promote": {"POST": a.write("promote rollout", a.tellRollout(RolloutPromote))},
	}
	for _, verb := range []Verb{Drain, Evict, Pause, Resume} {
		table["/v1/services/{s}/"+string(verb)] = methods{"POST": a.write(string(verb), a.order(verb))}
	}
	if metrics != nil {
		table["/metrics"] = methods{"GET": metrics.ServeHTTP}
	}
	mux := http.NewServeMux()
	for pattern, m := range table {
		mux.HandleFunc(pattern, m.serve)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(http.StatusNotFound, "there is nothing at this path").write(w, r)
	})
	return mux
}

func (m methods) serve(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h := m[method]; h != nil {
		h(w, r)
		return
	}
	allowed := slices.Sorted(maps.Keys(m))
	if m[http.MethodGet] != nil {
		allowed = append(allowed, http.MethodHead)
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	problem(http.StatusMethodNotAllowed, "this path takes "+strings.Join(allowed, ", ")).write(w, r)
}

func (a *api) read(do read) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ans, err := do(r)
		a.finish(w, r, ans, err)
	}
}

// write reads the body and the condition, runs do, and writes the audit log, whatever came of it.
func (a *api) write(action string, do write) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rec := &record{subject: r.PathValue("s")}
		ans, err := a.perform(w, r, rec, do)
		fields := []zap.Field{
			zap.String(observe.KeyAction, action), zap.String(observe.KeyAuditSubject, rec.subject),
			zap.String(observe.KeyUserName, operator(r)), zap.String(observe.KeySource, peerOf(r)), zap.Bool(observe.KeyAuditToken, a.gate.hasToken()),
			zap.String(observe.KeyAuditBefore, rec.before), zap.String(observe.KeyAuditAfter, rec.after),
		}
		if err != nil {
			a.audit.Warn("write refused", append(fields, zap.String(observe.KeyOutcome, "failure"), observe.Err(err))...)
		} else {
			a.audit.Info("write done", append(fields, zap.String(observe.KeyOutcome, "success"))...)
		}
		a.finish(w, r, ans, err)
	}
}

func (a *api) perform(w http.ResponseWriter, r *http.Request, rec *record, do write) (answer, error) {
	match, err := ParseIfMatch(r.Header.Values("If-Match"))
	if err != nil {
		return answer{}, &SyntaxError{Err: err}
	}
	body, err := readBody(w, r)
	if err != nil {
		return answer{}, err
	}
	// The write outlives a client that hangs up: half a change is worse than an answer nobody reads.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), a.timeout)
	defer cancel()
	return do(ctx, command{
		Change: Change{By: operator(r), Match: match}, request: r, body: body, record: rec,
	})
}

// readBody takes any Content-Type: what a browser may send across origins without asking is refused by its
// origin, and `curl -d` says it sends a form.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, &SyntaxError{Err: fmt.Errorf("read body: %w", err)}
	}
	return body, nil
}

// finish is the only writer of answers to /v1 requests.
func (a *api) finish(w http.ResponseWriter, r *http.Request, ans answer, err error) {
	var body []byte
	if err == nil {
		if body, err = json.Marshal(ans.body); err != nil {
			err = fmt.Errorf("encode answer: %w", err)
		}
	}
	if err != nil {
		p, ours := problemFor(err)
		if ours {
			a.log.Error("admin request ended in an internal error", zap.String("url.path", r.URL.Path), observe.Err(err))
		}
		p.write(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if ans.tag != "" {
		h.Set("ETag", `"`+ans.tag+`"`)
	} else {
		sum := sha256.Sum256(body)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	}
	w.WriteHeader(max(ans.status, http.StatusOK))
	_, _ = w.Write(append(body, '\n'))
}
