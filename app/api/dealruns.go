package api

import (
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

type lboRunRequest struct {
	Inputs  json.RawMessage  `json:"inputs"`
	Results *json.RawMessage `json:"results"`
}

type maRunRequest struct {
	DealName     string           `json:"deal_name"`
	AcquirerName string           `json:"acquirer_name"`
	TargetName   string           `json:"target_name"`
	Inputs       json.RawMessage  `json:"inputs"`
	Results      *json.RawMessage `json:"results"`
}

// parties are who buys and who is bought.
type parties struct {
	Acquirer string `json:"acquirer_name"`
	Target   string `json:"target_name"`
}

// DealRun is a run of LBO or M&A as a list shows it. It is exported because huma skips embedded structs that are not.
type DealRun struct {
	RunID        string          `json:"run_id" format:"uuid"`
	CompanyName  string          `json:"companyName,omitempty"`
	DealName     string          `json:"deal_name,omitempty"`
	AcquirerName string          `json:"acquirer_name,omitempty"`
	TargetName   string          `json:"target_name,omitempty"`
	Inputs       json.RawMessage `json:"inputs"`
	CreatedAt    time.Time       `json:"created_at"`
}

type dealRunView struct {
	DealRun
	Results *json.RawMessage `json:"results"`
}

type dealRunOutput struct {
	Body struct {
		Success bool        `json:"success"`
		Data    dealRunView `json:"data"`
	}
}

type dealRunsOutput struct {
	Body struct {
		Success    bool      `json:"success"`
		Runs       []DealRun `json:"runs" nullable:"false"`
		NextCursor *string   `json:"next_cursor"`
	}
}

// dealRuns are the runs of one engine.
type dealRuns struct {
	kind             store.Kind
	engine, id, path string
	read             func(body []byte) (store.Record, *huma.ErrorModel)
	schema           *huma.Schema
}

// describeDealRuns registers /api/lbo/runs and /api/ma/runs.
func describeDealRuns(a huma.API, s *service) {
	text, any := &huma.Schema{Type: huma.TypeString}, &huma.Schema{Description: "Any JSON"}
	inputs := func(required ...string) *huma.Schema {
		i := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "Any fields; at most 64 KiB", Required: required}
		for _, name := range required {
			i.Properties = map[string]*huma.Schema{name: text}
		}
		return i
	}
	object := func(required []string, properties map[string]*huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: required, Properties: properties}
	}
	for _, d := range []dealRuns{
		{store.LBORun, "LBO", "LBORun", "/api/lbo/runs", s.newLBORun,
			object([]string{"inputs"}, map[string]*huma.Schema{"inputs": inputs("companyName"), "results": any})},
		{store.MARun, "M&A", "MARun", "/api/ma/runs", s.newMARun, object([]string{"deal_name", "acquirer_name", "target_name", "inputs"},
			map[string]*huma.Schema{"deal_name": text, "acquirer_name": text, "target_name": text, "inputs": inputs(), "results": any})},
	} {
		d.register(a, s)
	}
}

func (d dealRuns) register(a huma.API, s *service) {
	op := func(method, id, path, summary, description string) huma.Operation {
		return s.owned(huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"runs"}, Summary: summary, Description: description, Errors: []int{422}})
	}
	create := op(http.MethodPost, "create"+d.id, d.path, "Save an "+d.engine+" run", "")
	create.Errors = append(create.Errors, 400, 408, 413, 415)
	huma.Register(a, create, func(ctx context.Context, in *createRunInput) (*createRunOutput, error) {
		return s.createDealRun(ctx, d, in)
	})
	huma.Register(a, op(http.MethodGet, "list"+d.id+"s", d.path, "List "+d.engine+" runs", "Without results, which only a single run carries."),
		func(ctx context.Context, in *Listing) (*dealRunsOutput, error) { return s.listDealRuns(ctx, d, in) })
	huma.Register(a, op(http.MethodGet, "last"+d.id, d.path+"/last", "The newest "+d.engine+" run", ""),
		func(ctx context.Context, _ *struct{}) (*dealRunOutput, error) { return s.lastDealRun(ctx, d) })
	huma.Register(a, op(http.MethodGet, "get"+d.id, d.path+"/{run_id}", "One "+d.engine+" run", ""),
		func(ctx context.Context, in *getRunInput) (*dealRunOutput, error) {
			r, err := s.Store.Record(ctx, ownerOf(ctx), d.kind, strings.ToLower(in.RunID))
			return s.oneDealRun(ctx, r, err)
		})
	a.OpenAPI().Paths[d.path].Post.RequestBody = jsonBody(true, d.schema)
}

func (s *service) newLBORun(body []byte) (store.Record, *huma.ErrorModel) {
	var request lboRunRequest
	if issues := s.documents.lboRun.Decode(body, &request); len(issues) > 0 {
		return store.Record{}, invalid(issues)
	}
	r := store.Record{Kind: store.LBORun, Inputs: request.Inputs, Results: optionalJSON(request.Results)}
	if wrong := checkInputs(r.Inputs); wrong != "" {
		return r, field("inputs", wrong)
	}
	r.Subject = companyOf(r.Inputs)
	if wrong := checkTitle(r.Subject); wrong != "" {
		return r, field("inputs.companyName", wrong)
	}
	return r, nil
}

func (s *service) newMARun(body []byte) (store.Record, *huma.ErrorModel) {
	var request maRunRequest
	if issues := s.documents.maRun.Decode(body, &request); len(issues) > 0 {
		return store.Record{}, invalid(issues)
	}
	r := store.Record{Kind: store.MARun, Subject: request.DealName, Inputs: request.Inputs, Results: optionalJSON(request.Results)}
	for _, f := range [][2]string{{"deal_name", request.DealName}, {"acquirer_name", request.AcquirerName}, {"target_name", request.TargetName}} {
		if wrong := checkTitle(f[1]); wrong != "" {
			return r, field(f[0], wrong)
		}
	}
	if wrong := checkInputs(r.Inputs); wrong != "" {
		return r, field("inputs", wrong)
	}
	r.Parties, _ = json.Marshal(parties{request.AcquirerName, request.TargetName}) // cannot fail: two texts
	return r, nil
}

func optionalJSON(p *json.RawMessage) json.RawMessage {
	if p == nil {
		return nil
	}
	return *p
}

func (s *service) createDealRun(ctx context.Context, d dealRuns, in *createRunInput) (*createRunOutput, error) {
	r, refused := d.read(in.Payload.bytes)
	if refused != nil {
		return nil, refused
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	r.ID, r.Name, r.UpdatedAt = id.String(), id.String(), s.Now()
	if err := s.Store.SaveRecords(ctx, ownerOf(ctx), []store.Record{r}); err != nil {
		return nil, s.internal(ctx, err)
	}
	s.Metrics.RunsCreated.Inc()
	out := &createRunOutput{}
	out.Body.Success, out.Body.RunID, out.Body.Message = true, r.ID, d.engine+" run saved"
	return out, nil
}

func (s *service) listDealRuns(ctx context.Context, d dealRuns, in *Listing) (*dealRunsOutput, error) {
	list, next, err := s.records(ctx, d.kind, in)
	if err != nil {
		return nil, err
	}
	out := &dealRunsOutput{}
	out.Body.Success, out.Body.Runs, out.Body.NextCursor = true, make([]DealRun, len(list)), next
	for i, r := range list {
		out.Body.Runs[i] = dealRun(r)
	}
	return out, nil
}

func dealRun(r store.Record) DealRun {
	v := DealRun{RunID: r.ID, Inputs: r.Inputs, CreatedAt: r.CreatedAt}
	if r.Kind == store.LBORun {
		v.CompanyName = r.Subject
		return v
	}
	var p parties
	_ = json.Unmarshal(r.Parties, &p) // our own
	v.DealName, v.AcquirerName, v.TargetName = r.Subject, p.Acquirer, p.Target
	return v
}

func (s *service) lastDealRun(ctx context.Context, d dealRuns) (*dealRunOutput, error) {
	list, _, err := s.Store.Records(ctx, ownerOf(ctx), store.RecordQuery{Kind: d.kind, Limit: 1})
	if err == nil && len(list) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return s.oneDealRun(ctx, store.Record{}, err)
	}
	return s.oneDealRun(ctx, list[0], nil)
}

func (s *service) oneDealRun(ctx context.Context, r store.Record, err error) (*dealRunOutput, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem(http.StatusNotFound, "there is no such run")
	}
	if err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &dealRunOutput{}
	out.Body.Success, out.Body.Data = true, dealRunView{dealRun(r), document(r.Results)}
	return out, nil
}
