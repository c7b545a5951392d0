package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Problem is the body of every error (RFC 9457). Type is "about:blank", so Title is the status's name unless
// the problem has one of its own.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Instance is the path that was asked for.
	Instance string `json:"instance,omitempty"`
	// Errors lists everything wrong at once, when there is more to say than Detail does.
	Errors []Detail `json:"errors,omitempty"`
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Detail is one thing wrong, in a file (File, Line, Column, counted from 1) or in a request body (Pointer,
// RFC 6901).
type Detail struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Pointer string `json:"pointer,omitempty"`
	Message string `json:"message"`
}

// String is "FILE:LINE:COL: message", with what is known of the position.
func (d Detail) String() string {
	switch {
	case d.File != "" && d.Line > 0:
		return fmt.Sprintf("%s:%d:%d: %s", d.File, d.Line, max(d.Column, 1), d.Message)
	case d.File != "":
		return d.File + ": " + d.Message
	default:
		return d.Message
	}
}

// InvalidError is a well-formed request for something that cannot be: 422 with every detail.
type InvalidError struct {
	Title   string
	Details []Detail
}

// Error joins the details.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Details))
	for i, d := range e.Details {
		lines[i] = d.String()
	}
	return e.Title + ": " + strings.Join(lines, "; ")
}

func (e *InvalidError) add(group, message string) {
	d := Detail{Message: message}
	if group != "" {
		d.Pointer = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(group)
	}
	e.Details = append(e.Details, d)
}

// orNil is e as an error, or nil when nothing was wrong: a nil *InvalidError in an error would not be nil.
func (e *InvalidError) orNil() error {
	if len(e.Details) == 0 {
		return nil
	}
	return e
}

// SyntaxError is a body that does not say what was meant: 400.
type SyntaxError struct{ Err error }

// Error says what could not be read.
func (e *SyntaxError) Error() string { return e.Err.Error() }

// Unwrap gives the reader's error.
func (e *SyntaxError) Unwrap() error { return e.Err }

// AwayError is a write that has to be agreed on with others who are out of reach: 503.
type AwayError struct{ Detail string }

// Error says who is out of reach.
func (e *AwayError) Error() string { return e.Detail }

// problemFor is the one mapping from an error to an answer. The second result says that the error is our own
// fault and its text belongs in the log, not in the answer.
func problemFor(err error) (*Problem, bool) {
	var p *Problem
	var invalid *InvalidError
	var syntax *SyntaxError
	var tooLarge *http.MaxBytesError
	var busy *BusyError
	var away *AwayError
	switch {
	case errors.As(err, &p):
		return p, false
	case errors.As(err, &invalid):
		q := problem(http.StatusUnprocessableEntity, summary(invalid.Details))
		q.Title, q.Errors = invalid.Title, invalid.Details
		return q, false
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", tooLarge.Limit)), false
	case errors.As(err, &syntax):
		return problem(http.StatusBadRequest, syntax.Error()), false
	case errors.As(err, &away):
		return problem(http.StatusServiceUnavailable, away.Detail), false
	case errors.As(err, &busy):
		return problem(http.StatusConflict, busy.Detail), false
	case errors.Is(err, ErrNothingUnconfirmed):
		return problem(http.StatusConflict, err.Error()), false
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrNoRollout), errors.Is(err, ErrNoShadow), errors.Is(err, ErrNoIncident):
		return problem(http.StatusNotFound, err.Error()), false
	case errors.Is(err, ErrConflict):
		return problem(http.StatusPreconditionFailed, "If-Match does not hold: read the state again"), false
	case errors.Is(err, ErrStopping):
		return problem(http.StatusServiceUnavailable, err.Error()), false
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem(http.StatusServiceUnavailable, "the operation did not end in time; read the status before trying again"), false
	default:
		return problem(http.StatusInternalServerError, "see weir's log"), true
	}
}

// summary is the only detail, or how many there are.
func summary(details []Detail) string {
	if len(details) == 1 {
		return details[0].String()
	}
	return fmt.Sprintf("%d errors", len(details))
}

func problem(status int, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

func (p *Problem) write(w http.ResponseWriter, r *http.Request) {
	q := *p
	q.Instance = r.URL.Path
	// A Problem holds nothing that cannot be encoded, and a client that went away is not an error of ours.
	body, _ := json.Marshal(&q)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(q.Status)
	_, _ = w.Write(append(body, '\n'))
}
