package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/valor-ivx/weir/app/store"
	"github.com/valor-ivx/weir/app/strictjson"
)

// maxScenarios bounds how many scenarios one request saves.
const maxScenarios = 100

// family is the scenarios of one engine: what they are about is in a field of its own name.
type family struct {
	kind                store.Kind
	engine, id, path    string
	subject             string // where it is in a request: ticker, inputs.companyName or deal_name
	listed              string // the list's field in an answer
	wrapped, mcSettings bool   // the body is {"scenarios": […]}; there are settings of a Monte Carlo run
}

func families() []family {
	return []family{
		{kind: store.DCFScenario, engine: "DCF", id: "Scenario", path: "/api/scenarios", subject: "ticker", listed: "scenarios", mcSettings: true},
		{kind: store.LBOScenario, engine: "LBO", id: "LBOScenario", path: "/api/lbo/scenarios", subject: "inputs.companyName", listed: "scenarios"},
		{kind: store.MAScenario, engine: "M&A", id: "MAScenario", path: "/api/ma/scenarios", subject: "deal_name", listed: "data", wrapped: true},
	}
}

type scenariosRequest struct {
	Scenarios []json.RawMessage `json:"scenarios"`
}

type scenarioItem struct {
	Name       string           `json:"name"`
	Ticker     *string          `json:"ticker"`
	DealName   *string          `json:"deal_name"`
	Inputs     json.RawMessage  `json:"inputs"`
	MCSettings *json.RawMessage `json:"mc_settings"`
}

type updateScenarioRequest struct {
	Inputs     json.RawMessage  `json:"inputs"`
	MCSettings *json.RawMessage `json:"mc_settings"`
}

type saveScenariosInput struct {
	Payload payload
}

type savedOutput struct {
	Body struct {
		Success bool   `json:"success"`
		Saved   int    `json:"saved_count"`
		Message string `json:"message"`
	}
}

// ScenarioOf names a scenario. It is exported because huma skips embedded structs that are not.
type ScenarioOf struct {
	ID string `path:"id" format:"uuid"`
}

type readScenarioInput struct {
	ScenarioOf
	Precondition
}

type updateScenarioInput struct {
	ScenarioOf
	Precondition
	Payload payload
}

type scenarioView struct {
	ID          string           `json:"id" format:"uuid"`
	Name        string           `json:"name"`
	Ticker      string           `json:"ticker,omitempty"`
	CompanyName string           `json:"companyName,omitempty"`
	DealName    string           `json:"deal_name,omitempty"`
	Inputs      json.RawMessage  `json:"inputs"`
	MCSettings  *json.RawMessage `json:"mc_settings,omitempty"`
	Version     int64            `json:"version"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

type listScenariosOutput struct {
	Body struct {
		Success    bool            `json:"success"`
		Scenarios  *[]scenarioView `json:"scenarios,omitempty"`
		Data       *[]scenarioView `json:"data,omitempty"`
		NextCursor *string         `json:"next_cursor"`
	}
}

type scenarioOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Success bool         `json:"success"`
		Data    scenarioView `json:"data"`
	}
}

// describeScenarios registers the scenarios of every engine.
func describeScenarios(a huma.API, s *service) {
	for _, f := range families() {
		op := func(method, verb, path, summary, description string) huma.Operation {
			id := verb + f.id
			if path == f.path {
				id += "s"
			}
			return s.owned(huma.Operation{OperationID: id, Method: method, Path: path, Tags: []string{"scenarios"}, Summary: summary, Description: description, Errors: []int{422}})
		}
		one := f.path + "/{id}"
		huma.Register(a, writes(op(http.MethodPost, "save", f.path, "Save "+f.engine+" scenarios",
			"All of them or, when one cannot be accepted, none. One that the user has about the same "+f.subject+" under the same name gets its next version.")),
			func(ctx context.Context, in *saveScenariosInput) (*savedOutput, error) {
				return s.saveScenarios(ctx, f, in)
			})
		huma.Register(a, op(http.MethodGet, "list", f.path, "List "+f.engine+" scenarios", ""),
			func(ctx context.Context, in *Listing) (*listScenariosOutput, error) {
				return s.listScenarios(ctx, f, in)
			})
		huma.Register(a, op(http.MethodGet, "get", one, "One "+f.engine+" scenario", "304 for If-None-Match with the ETag of what is there."),
			func(ctx context.Context, in *readScenarioInput) (*scenarioOutput, error) {
				return s.readScenario(ctx, f, in)
			})
		huma.Register(a, writes(op(http.MethodPut, "update", one, "Change a "+f.engine+" scenario", "If-Match says which version the writer has seen; 412 when it is another meanwhile.")),
			func(ctx context.Context, in *updateScenarioInput) (*scenarioOutput, error) {
				return s.updateScenario(ctx, f, in)
			})
		remove := op(http.MethodDelete, "delete", one, "Delete a "+f.engine+" scenario", "If-Match as for a change.")
		remove.Errors = append(remove.Errors, http.StatusPreconditionFailed)
		huma.Register(a, remove, func(ctx context.Context, in *readScenarioInput) (*messageOutput, error) {
			return s.deleteScenario(ctx, f, in)
		})
		f.document(a)
	}
}

// document tells of the bodies after registering: a body that huma knows of is a body that huma reads.
func (f family) document(a huma.API) {
	object := func(required []string, properties map[string]*huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: false, Required: required, Properties: properties}
	}
	inputs := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "Any fields; at most 64 KiB"}
	item, update := map[string]*huma.Schema{"name": {Type: huma.TypeString}, "inputs": inputs}, map[string]*huma.Schema{"inputs": inputs}
	required := []string{"name", "inputs"}
	if f.subject == "inputs.companyName" {
		inputs.Required, inputs.Properties = []string{"companyName"}, map[string]*huma.Schema{"companyName": {Type: huma.TypeString}}
	} else {
		item[f.subject], required = &huma.Schema{Type: huma.TypeString}, append(required, f.subject)
	}
	if f.mcSettings {
		settings := &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Nullable: true}
		item["mc_settings"], update["mc_settings"] = settings, settings
	}
	one, most := 1, maxScenarios
	list := &huma.Schema{Type: huma.TypeArray, Items: object(required, item), MinItems: &one, MaxItems: &most}
	if f.wrapped {
		list = object([]string{"scenarios"}, map[string]*huma.Schema{"scenarios": list})
	}
	paths := a.OpenAPI().Paths
	paths[f.path].Post.RequestBody = jsonBody(true, list)
	paths[f.path+"/{id}"].Put.RequestBody = jsonBody(true, object([]string{"inputs"}, update))
}

func (s *service) saveScenarios(ctx context.Context, f family, in *saveScenariosInput) (*savedOutput, error) {
	items, refused := s.scenarioItems(f, in.Payload.bytes)
	if refused != nil {
		return nil, refused
	}
	now := s.Now()
	list := make([]store.Record, len(items))
	for i, raw := range items {
		r, refused := s.newScenario(f, raw)
		if refused != nil {
			return nil, inside(refused, "scenarios["+strconv.Itoa(i)+"]", f.wrapped)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return nil, s.internal(ctx, err)
		}
		r.ID, r.UpdatedAt = id.String(), now
		list[i] = r
	}
	if err := s.Store.SaveRecords(ctx, ownerOf(ctx), list); err != nil {
		return nil, s.internal(ctx, err)
	}
	out := &savedOutput{}
	out.Body.Success, out.Body.Saved, out.Body.Message = true, len(list), "Scenarios saved"
	return out, nil
}

// scenarioItems takes the list out of the body.
func (s *service) scenarioItems(f family, body []byte) ([]json.RawMessage, error) {
	const before = `{"scenarios":`
	if !f.wrapped { // the decoder knows objects
		body = append(append([]byte(before), body...), '}')
	}
	var r scenariosRequest
	if issues := s.documents.scenarios.Decode(body, &r); len(issues) > 0 {
		for i := range issues {
			if !f.wrapped && issues[i].Line == 1 {
				issues[i].Column = max(1, issues[i].Column-len(before))
			}
		}
		return nil, inside(invalid(issues), "scenarios", f.wrapped)
	}
	if len(r.Scenarios) == 0 || len(r.Scenarios) > maxScenarios {
		return nil, inside(field("scenarios", "must have 1 to 100 scenarios"), "scenarios", f.wrapped)
	}
	return r.Scenarios, nil
}

// inside puts locations where they are in the body: below the field at, and without "scenarios" when the body is the list itself.
func inside(p *huma.ErrorModel, at string, wrapped bool) *huma.ErrorModel {
	for _, e := range p.Errors {
		if rest := strings.TrimPrefix(e.Location, "body"); strings.HasPrefix(at, "scenarios[") {
			e.Location = "body." + at + rest
		}
		if !wrapped {
			e.Location = strings.Replace(e.Location, "body.scenarios", "body", 1)
		}
	}
	return p
}

// newScenario checks one scenario. Its id and its time are the caller's to add.
func (s *service) newScenario(f family, raw json.RawMessage) (store.Record, *huma.ErrorModel) {
	var item scenarioItem
	if issues := s.documents.scenario.Decode(raw, &item); len(issues) > 0 {
		return store.Record{}, unplaced(issues)
	}
	r := store.Record{Kind: f.kind, Name: item.Name, Inputs: item.Inputs}
	if wrong := checkTitle(item.Name); wrong != "" {
		return r, field("name", wrong)
	}
	if wrong := checkInputs(item.Inputs); wrong != "" {
		return r, field("inputs", wrong)
	}
	for name, given := range map[string]bool{"ticker": item.Ticker != nil, "deal_name": item.DealName != nil, "mc_settings": item.MCSettings != nil && !f.mcSettings} {
		if given && name != f.subject {
			return r, field(name, "is not a known field")
		}
	}
	if item.MCSettings != nil {
		if r.Settings = *item.MCSettings; !isObject(r.Settings) {
			return r, field("mc_settings", "must be an object")
		}
	}
	switch f.subject {
	case "ticker":
		r.Subject = strings.ToUpper(optionalText(item.Ticker))
		if !isTicker(r.Subject) {
			return r, field("ticker", `is required: 1 to 16 of A-Z, a-z, 0-9, "." "-" "_" "^" "="`)
		}
		return r, nil
	case "deal_name":
		r.Subject = optionalText(item.DealName)
	default:
		r.Subject = companyOf(item.Inputs)
	}
	if wrong := checkTitle(r.Subject); wrong != "" {
		return r, field(f.subject, wrong)
	}
	return r, nil
}

// unplaced reports issues of a part of the body, whose lines and columns do not count from the body's start.
func unplaced(issues []strictjson.Issue) *huma.ErrorModel {
	p := field("", "")
	p.Errors = nil
	for _, i := range issues {
		p.Add(&huma.ErrorDetail{Location: location(i.Field), Message: i.Message})
	}
	return p
}

func optionalText(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func (s *service) listScenarios(ctx context.Context, f family, in *Listing) (*listScenariosOutput, error) {
	list, next, err := s.records(ctx, f.kind, in)
	if err != nil {
		return nil, err
	}
	views := make([]scenarioView, len(list))
	for i, r := range list {
		views[i] = f.view(r)
	}
	out := &listScenariosOutput{}
	out.Body.Success, out.Body.NextCursor = true, next
	if f.listed == "data" {
		out.Body.Data = &views
	} else {
		out.Body.Scenarios = &views
	}
	return out, nil
}

func (f family) view(r store.Record) scenarioView {
	v := scenarioView{ID: r.ID, Name: r.Name, Inputs: r.Inputs, MCSettings: document(r.Settings), Version: r.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt}
	switch f.subject {
	case "ticker":
		v.Ticker = r.Subject
	case "deal_name":
		v.DealName = r.Subject
	default:
		v.CompanyName = r.Subject
	}
	return v
}

func (f family) answer(r store.Record) *scenarioOutput {
	out := &scenarioOutput{ETag: etag(r.Version)}
	out.Body.Success, out.Body.Data = true, f.view(r)
	return out
}

func (s *service) readScenario(ctx context.Context, f family, in *readScenarioInput) (*scenarioOutput, error) {
	r, err := s.Store.Record(ctx, ownerOf(ctx), f.kind, strings.ToLower(in.ID))
	if err != nil {
		return nil, s.unwritten(ctx, err, false)
	}
	if in.unchanged(r.Version) {
		return nil, notModified(r.Version)
	}
	return f.answer(r), nil
}

func (s *service) updateScenario(ctx context.Context, f family, in *updateScenarioInput) (*scenarioOutput, error) {
	var request updateScenarioRequest
	if issues := s.documents.update.Decode(in.Payload.bytes, &request); len(issues) > 0 {
		return nil, invalid(issues)
	}
	if wrong := checkInputs(request.Inputs); wrong != "" {
		return nil, field("inputs", wrong)
	}
	r := store.Record{Inputs: request.Inputs, UpdatedAt: s.Now()}
	if request.MCSettings != nil {
		if r.Settings = *request.MCSettings; !f.mcSettings || !isObject(r.Settings) {
			return nil, field("mc_settings", "must be an object, of a DCF scenario")
		}
	}
	key, there, err := s.seen(ctx, f, in.ScenarioOf, in.Precondition)
	if err != nil {
		return nil, err
	}
	if f.subject == "inputs.companyName" && companyOf(r.Inputs) != there.Subject {
		return nil, field("inputs.companyName", "is of another company: save it as a scenario of that one")
	}
	now, err := s.Store.UpdateRecord(ctx, ownerOf(ctx), key, r)
	if err != nil {
		return nil, s.unwritten(ctx, err, in.given())
	}
	return f.answer(now), nil
}

// seen is the scenario that is there, and the key by which to change it, when the preconditions hold.
func (s *service) seen(ctx context.Context, f family, of ScenarioOf, p Precondition) (store.RecordKey, store.Record, error) {
	key := store.RecordKey{Kind: f.kind, ID: strings.ToLower(of.ID), Seen: store.AnyVersion}
	there, err := s.Store.Record(ctx, ownerOf(ctx), f.kind, key.ID)
	if err != nil {
		return key, there, s.unwritten(ctx, err, false)
	}
	if p.given() {
		if !p.holds(there.Version) {
			return key, there, conflict(http.StatusPreconditionFailed, there.Version)
		}
		key.Seen = there.Version
	}
	return key, there, nil
}

func (s *service) deleteScenario(ctx context.Context, f family, in *readScenarioInput) (*messageOutput, error) {
	key, _, err := s.seen(ctx, f, in.ScenarioOf, in.Precondition)
	if err != nil {
		return nil, err
	}
	if err := s.Store.DeleteRecord(ctx, ownerOf(ctx), key, s.Now()); err != nil {
		return nil, s.unwritten(ctx, err, in.given())
	}
	out := &messageOutput{}
	out.Body.Success, out.Body.Message = true, "Scenario deleted"
	return out, nil
}
