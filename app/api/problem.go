package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/strictjson"
)

// problem is an error that huma writes as problem+json with its own status.
func problem(status int, detail string, details ...*huma.ErrorDetail) *huma.ErrorModel {
	return &huma.ErrorModel{Status: status, Title: http.StatusText(status), Detail: detail, Errors: details}
}

// invalid reports the issues of a body: 400 for what is not JSON, 422 for JSON we cannot accept.
func invalid(issues []strictjson.Issue) *huma.ErrorModel {
	status, detail := http.StatusUnprocessableEntity, "the body has fields that cannot be accepted"
	details := make([]*huma.ErrorDetail, len(issues))
	for i, issue := range issues {
		if issue.Syntax {
			status, detail = http.StatusBadRequest, "the body is not valid JSON"
		}
		details[i] = &huma.ErrorDetail{Location: location(issue.Field),
			Message: fmt.Sprintf("%s (line %d, column %d)", issue.Message, issue.Line, issue.Column)}
	}
	return problem(status, detail, details...)
}

// field reports one field of a body.
func field(name, message string) *huma.ErrorModel {
	return problem(http.StatusUnprocessableEntity, "the body has fields that cannot be accepted",
		&huma.ErrorDetail{Location: location(name), Message: message})
}

func location(field string) string {
	if field == "" {
		return "body"
	}
	return "body." + field
}

// statusClientLeft is nginx's code for a client that left before its answer: it only reaches the
// log and the metrics, where it must not look like a failure of ours.
const statusClientLeft = 499

// internal logs what went wrong and tells the client only under which request id.
func (s *service) internal(ctx context.Context, err error) *huma.ErrorModel {
	from := originOf(ctx)
	if errors.Is(ctx.Err(), context.Canceled) {
		s.Log.Info("client left", append(from.fields(), zap.Error(err))...)
		return problem(statusClientLeft, "the client left")
	}
	s.Log.Error("request failed", append(from.fields(), zap.Error(err))...)
	return problem(http.StatusInternalServerError, "the request could not be answered; its id is "+from.id)
}

// writeProblem writes a problem outside of huma.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	// The head is out: a client that left cannot be told anything more.
	_ = json.NewEncoder(w).Encode(problem(status, detail))
}
