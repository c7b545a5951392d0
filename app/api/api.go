// Package api is the HTTP surface of the bundled API service: typed operations described by an
// OpenAPI 3.1 document, strict JSON in, JSON or problem+json (RFC 9457) out.
//
// What belongs to somebody needs an access token; only a demo lets it work without one, for one
// fixed user. No answer carries the text of an internal error: it is logged under the request id
// that the answer names.
package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/auth"
	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/market"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
	"github.com/valor-ivx/weir/app/strictjson"
)

// Version is the version of the HTTP interface, not of the build.
const Version = "1.0.0"

// Options is what a handler is made of. Every field is required but Color, Fault, Cache and Stopping.
type Options struct {
	Build   string // version of the binary, shown by /api/health
	Color   string // shown by /api/health and X-Valor-Color; "" sends no header
	Demo    bool   // lets the endpoints that need a user work for the demo user
	Tokens  *auth.Tokens
	Collab  *collab.Hub
	Market  *market.Service
	Fault   Fault
	Store   *store.Store
	Cache   Cache // nil: every answer is computed
	Metrics *metrics.Metrics
	Log     *zap.Logger
	Now     func() time.Time

	// Stopping reports that no more requests are wanted: readiness says no, and connections end with their next answer. nil: never.
	Stopping func() bool
}

// New builds the handler. It owns nothing: the store stays the caller's to close.
func New(o Options) http.Handler {
	routes := &routeList{ServeMux: http.NewServeMux()}
	routes.HandleFunc("GET /metrics", o.Metrics.Handler().ServeHTTP)
	s := &service{
		Options: o,
		dcf:     strictjson.New[dcfRequest](),
		run:     strictjson.New[createRunRequest](),
		heavy:   newHeavy(), accounts: newAccounts(o.Tokens), documents: newDocuments(),
	}
	describe(humago.New(routes, config()), s)
	routes.HandleFunc("GET "+collaborationPath, s.collaborate)
	return newShell(o, routes)
}

// service holds the handlers of the operations. It never changes after New.
type service struct {
	Options
	dcf strictjson.Decoder[dcfRequest]
	run strictjson.Decoder[createRunRequest]

	heavy     heavy // what takes milliseconds and more
	accounts  accounts
	documents documents
}

// config leaves out what huma's default adds to bodies ($schema) and paths (/docs, /schemas).
func config() huma.Config {
	c := huma.DefaultConfig("Valor IVX", Version)
	c.Info.Description = "Valuation of companies: discounted cash flow, deals, options and risk, and saved runs."
	c.OpenAPIPath = "/openapi"
	c.DocsPath, c.SchemasPath = "", ""
	c.CreateHooks = nil
	return c
}

func describe(a huma.API, s *service) {
	huma.Register(a, huma.Operation{
		OperationID: "health", Method: http.MethodGet, Path: "/api/health", Tags: []string{"operations"},
		Summary: "The process answers", Description: "Always 200; asks nothing and nobody.",
	}, s.health)
	huma.Register(a, huma.Operation{
		OperationID: "readiness", Method: http.MethodGet, Path: "/api/readiness", Tags: []string{"operations"},
		Summary:     "The process can do its work",
		Description: "200 when the database answers, else 503. No third party is asked.",
		Responses:   readinessResponses(a.OpenAPI().Components.Schemas),
	}, s.readiness)

	// Probes may add a query to get past a cache; everybody else is told when one is not understood.
	body := func(op huma.Operation) huma.Operation {
		op.RejectUnknownQueryParameters = true
		op.Errors = append(op.Errors, 400, 408, 413, 415, 422, 500)
		return op
	}
	huma.Register(a, body(huma.Operation{
		OperationID: "dcf", Method: http.MethodPost, Path: "/api/dcf", Tags: []string{"valuation"},
		Summary: "Value a company by discounted cash flow",
		Description: "{} or no body values the preset; each field given overrides it. null in a stage " +
			"field takes the field away, so that the company-wide driver applies.",
		Responses: answers[dcfBody](a, nil),
	}), s.valueDCF)

	describeComputations(a, s)
	describeAccounts(a, s)
	describeCollaboration(a)
	describeMarket(a, s)
	describeDocuments(a, s)

	owned := func(op huma.Operation) huma.Operation {
		op.Tags = []string{"runs"}
		return s.owned(op)
	}
	huma.Register(a, owned(body(huma.Operation{
		OperationID: "createRun", Method: http.MethodPost, Path: "/api/runs", Summary: "Save a run",
	})), s.createRun)
	huma.Register(a, owned(huma.Operation{
		OperationID: "listRuns", Method: http.MethodGet, Path: "/api/runs", Summary: "List saved runs",
		Description: "Runs without mc_settings and results, which only a single run carries.",
		Errors:      []int{422},
	}), s.listRuns)
	huma.Register(a, owned(huma.Operation{
		OperationID: "lastRun", Method: http.MethodGet, Path: "/api/runs/last", Summary: "The newest run",
		Errors: []int{404},
	}), s.lastRun)
	huma.Register(a, owned(huma.Operation{
		OperationID: "getRun", Method: http.MethodGet, Path: "/api/runs/{run_id}", Summary: "One run",
		Errors: []int{404, 422},
	}), s.getRun)

	// After registering, for the document alone: a body that huma knows of is a body that huma reads.
	spec := a.OpenAPI()
	spec.Paths["/api/dcf"].Post.RequestBody = jsonBody(false, dcfSchema(spec.Components.Schemas))
	spec.Paths["/api/runs"].Post.RequestBody = jsonBody(true, runSchema())
}

func jsonBody(required bool, schema *huma.Schema) *huma.RequestBody {
	return &huma.RequestBody{Required: required,
		Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// routeList remembers the patterns registered on a mux, so that their metrics exist from the start.
type routeList struct {
	*http.ServeMux
	patterns []string
}

// HandleFunc implements humago.Mux.
func (l *routeList) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	l.patterns = append(l.patterns, pattern)
	l.ServeMux.HandleFunc(pattern, h)
}
