package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/valor-ivx/weir/app/store"
)

// maxInputs bounds the inputs of a run, in bytes: a page of a hundred runs carries them all.
const maxInputs = 64 << 10

// tickerPattern covers exchanges (600519.SS), classes (BRK-B), indices (^GSPC) and rates (EURUSD=X).
const tickerPattern = `^[A-Za-z0-9._^=-]{1,16}$`

// createRunRequest keeps the three documents as the client wrote them.
type createRunRequest struct {
	Inputs     json.RawMessage  `json:"inputs"`
	MCSettings *json.RawMessage `json:"mc_settings"`
	Results    *json.RawMessage `json:"results"`
	Timestamp  *string          `json:"timestamp"`
}

type createRunInput struct {
	Payload payload
}

type createRunOutput struct {
	Body struct {
		Success bool   `json:"success"`
		RunID   string `json:"run_id" format:"uuid"`
		Message string `json:"message"`
	}
}

// RunSummary is a run as a list shows it. It is exported because huma skips embedded structs that
// are not.
type RunSummary struct {
	RunID     string          `json:"run_id" format:"uuid"`
	Ticker    string          `json:"ticker" doc:"inputs.ticker in upper case"`
	Inputs    json.RawMessage `json:"inputs"`
	Timestamp *string         `json:"timestamp" doc:"As the client gave it"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at" doc:"Equal to created_at: a run never changes"`
}

type runView struct {
	RunSummary
	MCSettings *json.RawMessage `json:"mc_settings"`
	Results    *json.RawMessage `json:"results"`
}

type runOutput struct {
	Body struct {
		Success bool    `json:"success"`
		Data    runView `json:"data"`
	}
}

func (s *service) createRun(ctx context.Context, in *createRunInput) (*createRunOutput, error) {
	var request createRunRequest
	if issues := s.run.Decode(in.Payload.bytes, &request); len(issues) > 0 {
		return nil, invalid(issues)
	}
	run, refused := newRun(request)
	if refused != nil {
		return nil, refused
	}
	id, err := uuid.NewV7() // ordered by time, so that new ids land at one end of their index
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	run.ID, run.CreatedAt = id.String(), s.Now()
	if err := s.Store.CreateRun(ctx, ownerOf(ctx), run); err != nil {
		return nil, s.internal(ctx, err)
	}
	s.Metrics.RunsCreated.Inc()
	out := &createRunOutput{}
	out.Body.Success, out.Body.RunID, out.Body.Message = true, run.ID, "Run saved"
	return out, nil
}

func (s *service) lastRun(ctx context.Context, _ *struct{}) (*runOutput, error) {
	run, err := s.Store.LastRun(ctx, ownerOf(ctx))
	return s.oneRun(ctx, run, err)
}

type getRunInput struct {
	RunID string `path:"run_id" format:"uuid"`
}

func (s *service) getRun(ctx context.Context, in *getRunInput) (*runOutput, error) {
	run, err := s.Store.Run(ctx, ownerOf(ctx), strings.ToLower(in.RunID))
	return s.oneRun(ctx, run, err)
}

// oneRun turns the answer of the store into ours.
func (s *service) oneRun(ctx context.Context, run store.Run, err error) (*runOutput, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(http.StatusNotFound, "there is no such run")
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &runOutput{}
	out.Body.Success = true
	out.Body.Data = runView{summary(run), document(run.MCSettings), document(run.Results)}
	return out, nil
}

func summary(r store.Run) RunSummary {
	v := RunSummary{RunID: r.ID, Ticker: r.Ticker, Inputs: r.Inputs, CreatedAt: r.CreatedAt, UpdatedAt: r.CreatedAt}
	if r.ClientTimestamp != "" {
		v.Timestamp = &r.ClientTimestamp
	}
	return v
}

func document(raw json.RawMessage) *json.RawMessage {
	if raw == nil {
		return nil
	}
	return &raw
}

// newRun checks what the types do not say. The id and the time are the caller's to add.
func newRun(request createRunRequest) (store.Run, error) {
	run := store.Run{Inputs: request.Inputs}
	if !isObject(run.Inputs) {
		return store.Run{}, field("inputs", "is required and must be an object")
	}
	if len(run.Inputs) > maxInputs {
		return store.Run{}, field("inputs", "may have 64 KiB (65536 bytes)")
	}
	ticker, ok := tickerOf(run.Inputs)
	if !ok {
		return store.Run{}, field("inputs.ticker", `is required: 1 to 16 of A-Z, a-z, 0-9, "." "-" "_" "^" "="`)
	}
	run.Ticker = ticker
	if request.MCSettings != nil {
		if run.MCSettings = *request.MCSettings; !isObject(run.MCSettings) {
			return store.Run{}, field("mc_settings", "must be an object")
		}
	}
	if request.Results != nil {
		run.Results = *request.Results
	}
	if request.Timestamp != nil {
		if _, err := time.Parse(time.RFC3339, *request.Timestamp); err != nil {
			return store.Run{}, field("timestamp", "must be a time like 2026-01-31T12:00:00Z (RFC 3339)")
		}
		run.ClientTimestamp = *request.Timestamp
	}
	return run, nil
}

// tickerOf folds to upper case, the only form stored, so that a search need not fold.
func tickerOf(inputs json.RawMessage) (string, bool) {
	fields := map[string]json.RawMessage{}
	var ticker string
	if json.Unmarshal(inputs, &fields) != nil || json.Unmarshal(fields["ticker"], &ticker) != nil {
		return "", false
	}
	return strings.ToUpper(ticker), isTicker(ticker)
}

// isTicker is tickerPattern without compiling it for every request.
func isTicker(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			strings.IndexByte("._^=-", c) >= 0) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 16
}

func isObject(raw json.RawMessage) bool {
	return bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
}

func runSchema() *huma.Schema {
	object := func(doc string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: doc}
	}
	inputs := object("Any fields; at most 64 KiB")
	inputs.Required = []string{"ticker"}
	inputs.Properties = map[string]*huma.Schema{
		"ticker": {Type: huma.TypeString, Pattern: tickerPattern}}
	settings := object("Settings of a Monte Carlo run")
	settings.Nullable = true
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: false, Required: []string{"inputs"},
		Properties: map[string]*huma.Schema{
			"inputs": inputs, "mc_settings": settings, "results": {Description: "Any JSON"},
			"timestamp": {Type: huma.TypeString, Format: "date-time", Nullable: true},
		},
	}
}
