package api

import (
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// maxBody bounds every request body, in bytes.
const maxBody = 1 << 20

// payload reads the JSON body of an operation that changes something. huma's own body handling is
// not used: it matches field names in any case, lets null stand for any optional field, refuses a
// body of exactly the limit, answers 500 to a client that stops sending, and echoes a malformed
// body back whole.
type payload struct {
	bytes []byte
}

// Resolve implements huma.Resolver: it runs before the handler. A form cannot send application/json
// to another site, which keeps other people's pages from writing here.
func (p *payload) Resolve(ctx huma.Context) (errs []error) {
	if !isJSON(ctx.Header("Content-Type")) {
		return []error{refusal(http.StatusUnsupportedMediaType, "send Content-Type: application/json")}
	}
	p.bytes, errs = readBody(ctx)
	if len(errs) == 0 && len(p.bytes) == 0 {
		return []error{refusal(http.StatusBadRequest, "a JSON body is required")}
	}
	return errs
}

// casePayload reads the body of a computation, which changes nothing and so may be easier to ask
// for: no body means {}, and the Content-Type that curl -d sends on its own will do.
type casePayload struct {
	bytes []byte
}

// Resolve implements huma.Resolver.
func (p *casePayload) Resolve(ctx huma.Context) (errs []error) {
	kind := ctx.Header("Content-Type")
	if !isJSON(kind) && kind != "application/x-www-form-urlencoded" {
		return []error{refusal(http.StatusUnsupportedMediaType, "send Content-Type: application/json")}
	}
	p.bytes, errs = readBody(ctx)
	if len(p.bytes) == 0 {
		p.bytes = []byte("{}")
	}
	return errs
}

func readBody(ctx huma.Context) ([]byte, []error) {
	b, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), maxBody+1))
	var timeout net.Error
	switch {
	case len(b) > maxBody:
		return nil, []error{refusal(http.StatusRequestEntityTooLarge, "a body may have 1 MiB (1048576 bytes)")}
	case errors.As(err, &timeout) && timeout.Timeout():
		return nil, []error{refusal(http.StatusRequestTimeout, "the body did not arrive in time")}
	case err != nil:
		return nil, []error{refusal(http.StatusBadRequest, "the body ended early")}
	}
	return b, nil
}

// isJSON accepts no Content-Type too, for people at a terminal; and UTF-8, the only charset of JSON.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	charset, has := params["charset"]
	return err == nil && kind == "application/json" && (!has || strings.EqualFold(charset, "utf-8"))
}

// bodyRefusal is an error detail with a status: huma takes the status of the answer from it.
type bodyRefusal struct {
	status  int
	message string
}

func refusal(status int, message string) bodyRefusal { return bodyRefusal{status, message} }

func (r bodyRefusal) Error() string { return r.message }

// GetStatus implements huma.StatusError.
func (r bodyRefusal) GetStatus() int { return r.status }

// ErrorDetail implements huma.ErrorDetailer.
func (r bodyRefusal) ErrorDetail() *huma.ErrorDetail {
	return &huma.ErrorDetail{Location: "body", Message: r.message}
}
