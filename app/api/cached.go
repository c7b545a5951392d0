package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/cache"
)

// Cache keeps answers: cache.Memory or cache.Redis.
type Cache interface {
	Get(context.Context, cache.Key) ([]byte, bool)
	Set(context.Context, cache.Key, []byte)
	// Remote says that a lookup takes a network's time.
	Remote() bool
}

// question is what an answer depends on: the same question has the same answer.
type question struct {
	path string
	body []byte
	// quick is computed faster than a network answers; once is another each time.
	quick, once bool
}

// answered answers a question from the cache, or with what compute gives, which the cache then keeps. What is refused it never keeps.
func (s *service) answered(ctx context.Context, q question, compute func() (any, error)) (*huma.StreamResponse, error) {
	if s.Cache == nil || q.once || q.quick && s.Cache.Remote() {
		answer, err := s.encoded(ctx, compute)
		if err != nil {
			return nil, err
		}
		return jsonAnswer(answer, ""), nil
	}
	// Builds compute alike or they would not both be out, but a mistake that one of them has must not outlive it.
	key := cache.KeyOf(s.Build, q.path, string(q.body))
	if answer, ok := s.Cache.Get(ctx, key); ok {
		return jsonAnswer(answer, "hit"), nil
	}
	answer, err := s.encoded(ctx, compute)
	if err != nil {
		return nil, err
	}
	s.Cache.Set(ctx, key, answer)
	return jsonAnswer(answer, "miss"), nil
}

func (s *service) encoded(ctx context.Context, compute func() (any, error)) ([]byte, error) {
	v, err := compute()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // a NaN, which no engine may give
		return nil, s.internal(ctx, err)
	}
	return b.Bytes(), nil
}

// jsonAnswer writes an answer, and how it was come by where a cache was asked.
func jsonAnswer(answer []byte, from string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "application/json")
		if from != "" {
			out.SetHeader("X-Valor-Cache", from)
		}
		_, _ = out.BodyWriter().Write(answer) // the head is out: nobody is left to be told
	}}
}

// answers describes the answers of an operation whose handler writes them itself.
func answers[B any](a huma.API, others map[string]*huma.MediaType) map[string]*huma.Response {
	content := map[string]*huma.MediaType{"application/json": {Schema: a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[B](), true, "")}}
	for kind, m := range others {
		content[kind] = m
	}
	return map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: content, Headers: map[string]*huma.Param{
		"X-Valor-Cache": {Description: "hit or miss, where answers are kept (VALOR_CACHE)", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"hit", "miss"}}},
	}}}
}
