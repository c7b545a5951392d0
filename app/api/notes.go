package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/store"
)

// maxNote bounds a note, in bytes.
const maxNote = 64 << 10

type writeNoteRequest struct {
	Content string `json:"content"`
	Version *int64 `json:"version"`
}

// NoteOf names a note. It is exported because huma skips embedded structs that are not.
type NoteOf struct {
	Ticker string `path:"ticker" pattern:"^[A-Za-z0-9._^=-]{1,16}$" doc:"In any case"`
}

func (n NoteOf) ticker() string { return strings.ToUpper(n.Ticker) }

type readNoteInput struct {
	NoteOf
	Precondition
}

type writeNoteInput struct {
	NoteOf
	Precondition
	Payload payload
}

type noteVersionInput struct {
	NoteOf
	Version int64 `path:"version" minimum:"1" maximum:"1000000000000"`
}

type listNotesInput struct {
	After   string `query:"after" maxLength:"16" pattern:"^[A-Za-z0-9._^=-]*$" doc:"The ticker after which to begin: next_after of the page before"`
	PerPage int64  `query:"per_page" default:"50" minimum:"1" maximum:"100"`
}

type noteSummary struct {
	Ticker    string    `json:"ticker"`
	Version   int64     `json:"version"`
	UpdatedAt time.Time `json:"updated_at"`
}

type listNotesOutput struct {
	Body struct {
		Success   bool          `json:"success"`
		Notes     []noteSummary `json:"notes" nullable:"false"`
		NextAfter *string       `json:"next_after"`
	}
}

type noteVersionView struct {
	Version   int64     `json:"version"`
	Size      int64     `json:"size" doc:"Of the content, bytes"`
	UpdatedAt time.Time `json:"updated_at"`
}

type noteVersionsOutput struct {
	Body struct {
		Success  bool              `json:"success"`
		Ticker   string            `json:"ticker"`
		Versions []noteVersionView `json:"versions" nullable:"false" doc:"The newest first; a hundred are kept"`
	}
}

type noteView struct {
	Success   bool       `json:"success"`
	Ticker    string     `json:"ticker"`
	Content   string     `json:"content"`
	Version   int64      `json:"version" doc:"Counts from 1; 0 is no note"`
	UpdatedAt *time.Time `json:"updated_at"`
}

type noteOutput struct {
	ETag         string `header:"ETag"`
	LastModified string `header:"Last-Modified"`
	Body         noteView
}

type wroteNoteOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
		Version int64  `json:"version"`
	}
}

// describeNotes registers /api/notes.
func describeNotes(a huma.API, s *service) {
	op := func(method, id, path, summary, description string) huma.Operation {
		return s.owned(huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"notes"}, Summary: summary, Description: description, Errors: []int{422}})
	}
	huma.Register(a, op(http.MethodGet, "listNotes", "/api/notes", "List notes", "In the order of tickers, without their contents."), s.listNotes)
	huma.Register(a, op(http.MethodGet, "getNote", "/api/notes/{ticker}", "The note about a ticker",
		"Where there is none, the content is empty, the version 0, and there is no ETag. 304 for If-None-Match with the ETag of what is there."), s.readNote)
	write := writes(op(http.MethodPost, "writeNote", "/api/notes/{ticker}", "Write the note about a ticker",
		"Says which version the writer has seen by If-Match (else 412), by version in the body (else 409; 0: there was none), or not at all, which overwrites."))
	huma.Register(a, write, s.writeNote)
	huma.Register(a, op(http.MethodGet, "listNoteVersions", "/api/notes/{ticker}/versions", "List the versions of a note", ""), s.listNoteVersions)
	huma.Register(a, op(http.MethodGet, "getNoteVersion", "/api/notes/{ticker}/versions/{version}", "One version of a note", ""), s.readNoteVersion)
	schema := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"content"}, Properties: map[string]*huma.Schema{
		"content": {Type: huma.TypeString, Description: "At most 64 KiB"},
		"version": {Type: huma.TypeInteger, Nullable: true, Description: "Write only what follows this version; 0: only when there is none"},
	}}
	a.OpenAPI().Paths["/api/notes/{ticker}"].Post.RequestBody = jsonBody(true, schema)
}

func (s *service) readNote(ctx context.Context, in *readNoteInput) (*noteOutput, error) {
	n, err := s.Store.Note(ctx, ownerOf(ctx), in.ticker(), 0)
	if errors.Is(err, store.ErrNotFound) {
		return &noteOutput{Body: noteView{Success: true, Ticker: in.ticker()}}, nil
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	if in.unchanged(n.Version) {
		return nil, notModified(n.Version)
	}
	return noteAnswer(n), nil
}

func noteAnswer(n store.Note) *noteOutput {
	return &noteOutput{ETag: etag(n.Version), LastModified: n.WrittenAt.Format(http.TimeFormat),
		Body: noteView{true, n.Ticker, n.Content, n.Version, &n.WrittenAt}}
}

func (s *service) writeNote(ctx context.Context, in *writeNoteInput) (*wroteNoteOutput, error) {
	var r writeNoteRequest
	if issues := s.documents.note.Decode(in.Payload.bytes, &r); len(issues) > 0 {
		return nil, invalid(issues)
	}
	switch {
	case !plain(r.Content):
		return nil, field("content", "must not have a NUL character")
	case len(r.Content) > maxNote:
		return nil, field("content", "may have 64 KiB (65536 bytes)")
	case r.Version != nil && *r.Version < 0:
		return nil, field("version", "counts from 1; 0 says that there is no note")
	}
	o, seen, status := ownerOf(ctx), int64(store.AnyVersion), http.StatusConflict
	if in.given() {
		there, err := s.Store.Note(ctx, o, in.ticker(), 0)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, s.internal(ctx, err)
		}
		if !in.holds(there.Version) {
			return nil, conflict(http.StatusPreconditionFailed, there.Version)
		}
		seen, status = there.Version, http.StatusPreconditionFailed
	}
	if r.Version != nil {
		if in.given() && seen != *r.Version {
			return nil, conflict(http.StatusConflict, seen)
		}
		seen = *r.Version
	}
	n, err := s.Store.WriteNote(ctx, o, store.Note{Ticker: in.ticker(), Content: r.Content, WrittenAt: s.Now()}, seen)
	var other *store.ConflictError
	if errors.As(err, &other) {
		return nil, conflict(status, other.Version)
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &wroteNoteOutput{ETag: etag(n.Version)}
	out.Body.Success, out.Body.Message, out.Body.Version = true, "Note saved", n.Version
	return out, nil
}

func (s *service) listNotes(ctx context.Context, in *listNotesInput) (*listNotesOutput, error) {
	list, more, err := s.Store.Notes(ctx, ownerOf(ctx), strings.ToUpper(in.After), in.PerPage)
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &listNotesOutput{}
	out.Body.Success, out.Body.Notes = true, make([]noteSummary, len(list))
	for i, n := range list {
		out.Body.Notes[i] = noteSummary{n.Ticker, n.Version, n.WrittenAt}
	}
	if more {
		out.Body.NextAfter = &list[len(list)-1].Ticker
	}
	return out, nil
}

func (s *service) listNoteVersions(ctx context.Context, in *NoteOf) (*noteVersionsOutput, error) {
	list, err := s.Store.NoteVersions(ctx, ownerOf(ctx), in.ticker())
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &noteVersionsOutput{}
	out.Body.Success, out.Body.Ticker, out.Body.Versions = true, in.ticker(), make([]noteVersionView, len(list))
	for i, v := range list {
		out.Body.Versions[i] = noteVersionView{v.Version, v.Size, v.WrittenAt}
	}
	return out, nil
}

func (s *service) readNoteVersion(ctx context.Context, in *noteVersionInput) (*noteOutput, error) {
	n, err := s.Store.Note(ctx, ownerOf(ctx), in.ticker(), in.Version)
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(http.StatusNotFound, "there is no such version of the note")
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	return noteAnswer(n), nil
}
