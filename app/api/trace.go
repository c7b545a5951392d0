package api

import (
	"context"
	"net/http"
	"strings"

	"go.uber.org/zap"
)

// origin is how a request is found again in logs: ours, and in the trace that it is part of.
type origin struct {
	id            string
	trace, parent string // of traceparent; "" without a good one
}

type originKey struct{}

func originOf(ctx context.Context) origin {
	o, _ := ctx.Value(originKey{}).(origin)
	return o
}

// fields are what every line about the request has.
func (o origin) fields() []zap.Field {
	if o.trace == "" {
		return []zap.Field{zap.String("request_id", o.id)}
	}
	return []zap.Field{zap.String("request_id", o.id), zap.String("trace_id", o.trace), zap.String("parent_id", o.parent)}
}

// readOrigin takes over what the edge says of the request, where it is safe to log.
func readOrigin(r *http.Request) origin {
	o := origin{id: requestID(r)}
	if v := r.Header["Traceparent"]; len(v) == 1 {
		o.trace, o.parent = traceparent(v[0])
	}
	return o
}

// traceparent reads a W3C trace context (Recommendation of 2021, 3.2): version, trace, parent and flags in lower-case hex. A later version may say more.
func traceparent(v string) (trace, parent string) {
	if len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' || len(v) > 55 && (v[:2] == "00" || v[55] != '-') {
		return "", ""
	}
	trace, parent = v[3:35], v[36:52]
	for _, hex := range []string{v[:2], trace, parent, v[53:55]} {
		if strings.Trim(hex, "0123456789abcdef") != "" {
			return "", ""
		}
	}
	if v[:2] == "ff" || strings.Trim(trace, "0") == "" || strings.Trim(parent, "0") == "" {
		return "", ""
	}
	return trace, parent
}
