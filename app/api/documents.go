package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/store"
	"github.com/valor-ivx/weir/app/strictjson"
)

// documents are the decoders of what is kept beside runs.
type documents struct {
	note      strictjson.Decoder[writeNoteRequest]
	scenarios strictjson.Decoder[scenariosRequest]
	scenario  strictjson.Decoder[scenarioItem]
	update    strictjson.Decoder[updateScenarioRequest]
	lboRun    strictjson.Decoder[lboRunRequest]
	maRun     strictjson.Decoder[maRunRequest]
}

func newDocuments() documents {
	return documents{strictjson.New[writeNoteRequest](), strictjson.New[scenariosRequest](), strictjson.New[scenarioItem](),
		strictjson.New[updateScenarioRequest](), strictjson.New[lboRunRequest](), strictjson.New[maRunRequest]()}
}

// describeDocuments registers what is kept beside runs, and the log of it.
func describeDocuments(a huma.API, s *service) {
	describeScenarios(a, s)
	describeDealRuns(a, s)
	describeNotes(a, s)
	describeAudit(a, s)
}

// owned makes an operation one of somebody's: it needs to know whose.
func (s *service) owned(op huma.Operation) huma.Operation {
	op.RejectUnknownQueryParameters = true
	op.Errors = append(op.Errors, 401, 404, 500)
	op.Middlewares, op.Security = huma.Middlewares{s.needsUser}, bearer()
	return op
}

// writes adds what can be wrong with a body and with a version.
func writes(op huma.Operation) huma.Operation {
	op.Errors = append(op.Errors, 400, 408, 409, 412, 413, 415)
	return op
}

// maxTitle bounds names, companies and deals, in bytes: three of them fit into an entry of PostgreSQL's index (2.7 kB).
const maxTitle = 200

// checkTitle says what is wrong with a name, "" for nothing.
func checkTitle(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return "is required"
	case len(text) > maxTitle:
		return "may have 200 bytes"
	case text != strings.TrimSpace(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "must not begin or end with a space or have control characters"
	}
	return ""
}

// checkInputs says what is wrong with an object of inputs, "" for nothing.
func checkInputs(inputs json.RawMessage) string {
	switch {
	case !isObject(inputs):
		return "is required and must be an object"
	case len(inputs) > maxInputs:
		return "may have 64 KiB (65536 bytes)"
	}
	return ""
}

// companyOf is inputs.companyName, "" when there is none.
func companyOf(inputs json.RawMessage) string {
	fields := map[string]json.RawMessage{}
	var name string
	if json.Unmarshal(inputs, &fields) != nil || json.Unmarshal(fields["companyName"], &name) != nil {
		return ""
	}
	return name
}

// Listing is how a list of records is asked for. It is exported because huma skips embedded structs that are not.
type Listing struct {
	Cursor     string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before"`
	PerPage    int64  `query:"per_page" default:"50" minimum:"1" maximum:"100"`
	SortBy     string `query:"sort_by" default:"updated_at" enum:"updated_at,subject" doc:"The subject is the ticker, company or deal"`
	SortOrder  string `query:"sort_order" default:"desc" enum:"asc,desc"`
	SearchTerm string `query:"search_term" maxLength:"64" doc:"Keeps those whose subject or name contains this text, in any case"`
}

// records reads one page of records and the cursor of the next.
func (s *service) records(ctx context.Context, kind store.Kind, in *Listing) ([]store.Record, *string, error) {
	order := in.SortBy + "." + in.SortOrder
	at, err := readCursor(in.Cursor, order)
	if err != nil {
		return nil, nil, err
	}
	q := store.RecordQuery{Kind: kind, BySubject: in.SortBy == "subject", Ascending: in.SortOrder == "asc", From: at.place(), Search: in.SearchTerm, Limit: in.PerPage}
	list, more, err := s.Store.Records(ctx, ownerOf(ctx), q)
	if err != nil {
		return nil, nil, s.internal(ctx, err)
	}
	if !more {
		return list, nil, nil
	}
	return list, cursorAt(order, list[len(list)-1].Place(q.BySubject)).text(), nil
}

// unwritten is the answer for a record that was not changed.
func (s *service) unwritten(ctx context.Context, err error, conditional bool) error {
	var other *store.ConflictError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem(http.StatusNotFound, "there is no such scenario")
	case errors.As(err, &other) && conditional:
		return conflict(http.StatusPreconditionFailed, other.Version)
	}
	return s.internal(ctx, err)
}

type auditInput struct {
	Cursor  string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before"`
	PerPage int64  `query:"per_page" default:"50" minimum:"1" maximum:"100"`
}

type auditEntry struct {
	At      time.Time `json:"at"`
	Action  string    `json:"action" enum:"create,update,delete,revoke"`
	Kind    string    `json:"kind" doc:"account, session, run, note, dcf.scenario, lbo.scenario, ma.scenario, lbo.run, ma.run"`
	Target  string    `json:"target" doc:"Its id; of a note, the ticker"`
	Version int64     `json:"version" doc:"After the write; of what was deleted, the last; 0 where there are no versions"`
	Request string    `json:"request_id"`
}

type auditOutput struct {
	Body struct {
		Success    bool         `json:"success"`
		Entries    []auditEntry `json:"entries" nullable:"false"`
		NextCursor *string      `json:"next_cursor"`
	}
}

// describeAudit registers /api/audit.
func describeAudit(a huma.API, s *service) {
	huma.Register(a, s.owned(huma.Operation{OperationID: "listAudit", Method: http.MethodGet, Path: "/api/audit", Tags: []string{"operations"}, Errors: []int{422},
		Summary: "What was written, and when", Description: "The user's own writes, the newest first: that something changed and under which request id, not to what."}), s.listAudit)
}

func (s *service) listAudit(ctx context.Context, in *auditInput) (*auditOutput, error) {
	at, err := readCursor(in.Cursor, "audit")
	if err != nil {
		return nil, err
	}
	var before int64
	if at != nil {
		before = at.Seq
	}
	list, more, err := s.Store.Audit(ctx, ownerOf(ctx), before, in.PerPage)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &auditOutput{}
	out.Body.Success, out.Body.Entries = true, make([]auditEntry, len(list))
	for i, e := range list {
		out.Body.Entries[i] = auditEntry{e.At, e.Action, e.Kind, e.Target, e.Version, e.Request}
	}
	if more {
		out.Body.NextCursor = cursorAt("audit", store.Place{Seq: list[len(list)-1].Seq}).text()
	}
	return out, nil
}
