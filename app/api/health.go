package api

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"
)

// readinessTimeout leaves an edge that probes with a timeout of one second the time to hear "no".
const readinessTimeout = 800 * time.Millisecond

type healthBody struct {
	Status    string    `json:"status" enum:"healthy"`
	Timestamp time.Time `json:"timestamp"`
	Version   string    `json:"version" doc:"Version of the binary"`
	Color     string    `json:"color" doc:"blue, green or empty"`
}

type healthOutput struct{ Body healthBody }

func (s *service) health(context.Context, *struct{}) (*healthOutput, error) {
	return &healthOutput{healthBody{Status: "healthy", Timestamp: s.Now().UTC(),
		Version: s.Build, Color: s.Color}}, nil
}

type readinessBody struct {
	Status    string          `json:"status" enum:"ready,degraded,stopping"`
	Checks    readinessChecks `json:"checks"`
	Timestamp time.Time       `json:"timestamp"`
}

type readinessChecks struct {
	DB check `json:"db"`
}

type check struct {
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

type readinessOutput struct {
	Status int
	Body   readinessBody
}

func (s *service) readiness(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	out := &readinessOutput{Status: http.StatusOK, Body: readinessBody{Status: "ready",
		Checks: readinessChecks{DB: check{true, "answers"}}, Timestamp: s.Now().UTC()}}
	if err := s.Store.Ping(ctx); err != nil {
		s.Log.Warn("not ready", zap.Error(err))
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "degraded"
		out.Body.Checks.DB = check{false, "does not answer"}
	}
	if s.Stopping != nil && s.Stopping() {
		out.Status, out.Body.Status = http.StatusServiceUnavailable, "stopping"
	}
	return out, nil
}

// readinessResponses documents the 503, which has the same body and is no problem+json.
func readinessResponses(r huma.Registry) map[string]*huma.Response {
	schema := r.Schema(reflect.TypeFor[readinessBody](), true, "ReadinessBody")
	content := map[string]*huma.MediaType{"application/json": {Schema: schema}}
	return map[string]*huma.Response{
		"200": {Description: "Ready", Content: content},
		"503": {Description: "Degraded: the database does not answer; or stopping", Content: content},
	}
}
