package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/strictjson"
)

// computation is an endpoint that changes nothing: a preset that the body's fields override, and an engine. R is the request with its fields' names, D what it comes to.
type computation[R, D any] struct {
	path, id, summary, description string
	engine                         string // metric label
	quick                          bool   // computed in less time than a network takes
	preset                         R
	compute                        func(context.Context, R) (D, error)
}

type computedBody[D any] struct {
	Success bool `json:"success"`
	Data    D    `json:"data"`
}

type computeInput struct {
	Payload casePayload
}

// register describes the operation and serves it.
func (c computation[R, D]) register(a huma.API, s *service) {
	decoder, counts := strictjson.New[R](), s.Metrics.Computation(c.engine)
	op := c.operation()
	op.Responses = answers[computedBody[D]](a, nil)
	huma.Register(a, op, func(ctx context.Context, in *computeInput) (*huma.StreamResponse, error) {
		return s.answered(ctx, question{path: c.path, body: in.Payload.bytes, quick: c.quick}, func() (any, error) {
			request, err := c.read(decoder, counts, in)
			if err != nil {
				return nil, err
			}
			data, err := c.compute(ctx, request)
			if err != nil {
				return nil, s.uncomputed(ctx, counts, err)
			}
			counts.OK.Inc()
			return computedBody[D]{Success: true, Data: data}, nil
		})
	})
	c.document(a)
}

func (c computation[R, D]) operation() huma.Operation {
	return huma.Operation{
		OperationID: c.id, Method: http.MethodPost, Path: c.path, Tags: []string{"valuation"}, Summary: c.summary, Description: c.description,
		RejectUnknownQueryParameters: true, Errors: []int{400, 408, 413, 415, 422, 500},
	}
}

func (c computation[R, D]) read(decoder strictjson.Decoder[R], counts metrics.Computation, in *computeInput) (R, error) {
	request := c.preset
	if issues := decoder.Decode(in.Payload.bytes, &request); len(issues) > 0 {
		counts.Invalid.Inc()
		return request, invalid(issues)
	}
	return request, nil
}

// document tells of the body after registering: a body that huma knows of is a body that huma reads.
func (c computation[R, D]) document(a huma.API) {
	spec := a.OpenAPI()
	schema := huma.SchemaFromType(spec.Components.Schemas, reflect.TypeFor[R]())
	preset, _ := json.Marshal(c.preset) // cannot fail on finite numbers and texts; the golden document would show it
	defaults := map[string]any{}
	_ = json.Unmarshal(preset, &defaults)
	for name, p := range schema.Properties {
		p.Default = defaults[name]
	}
	schema.Required = nil
	spec.Paths[c.path].Post.RequestBody = jsonBody(false, schema)
}

// uncomputed is the answer for what an engine could not do.
func (s *service) uncomputed(ctx context.Context, counts metrics.Computation, err error) error {
	var refused *huma.ErrorModel
	switch violations := violationsOf(err); {
	case violations != nil:
		counts.Invalid.Inc()
		return violations
	case errors.As(err, &refused):
		counts.Invalid.Inc()
		return refused
	}
	counts.Canceled.Inc()
	return s.internal(ctx, err)
}

// violationsOf names every field that an engine found at fault; nil: it is another error.
func violationsOf(err error) *huma.ErrorModel {
	var bad *dcf.InvalidError
	if !errors.As(err, &bad) {
		return nil
	}
	p := field("", "")
	p.Errors = nil
	for _, v := range bad.Violations {
		p.Add(&huma.ErrorDetail{Location: location(v.Field), Message: v.Message})
	}
	return p
}
