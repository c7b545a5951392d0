package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/montecarlo"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/strictjson"
)

type monteCarloRequest struct {
	CaseFields
	Compat      bool     `json:"compat"`
	Trials      int      `json:"trials" minimum:"100" maximum:"10000"`
	Seed        string   `json:"seed" maxLength:"256" doc:"Fixes every figure; empty: another one each time"`
	VolPP       float64  `json:"volPP" minimum:"0" maximum:"10" doc:"Standard deviation of growth, percentage points"`
	MarginVolPP *float64 `json:"marginVolPP" doc:"The same of margins, 0 to 10; default: volPP"`
	S2CVolPct   float64  `json:"s2cVolPct" minimum:"0" maximum:"50" doc:"The same of sales to capital, percent of itself"`
	CorrGM      float64  `json:"corrGM" minimum:"-0.99" maximum:"0.99" doc:"Correlation of growth and margin in stage 1"`
	Samples     bool     `json:"samples" doc:"true: the answer has every value"`
}

type monteCarloData struct {
	Compat    bool       `json:"compat"`
	Params    CaseFields `json:"params"`
	Seed      string     `json:"seed" doc:"Gives these figures again"`
	Hash      uint32     `json:"hash" doc:"The seed as the generator takes it"`
	Trials    int        `json:"trials"`
	Refused   int        `json:"refused" doc:"Trials whose draws made no valid case; they are in no figure"`
	Mean      float64    `json:"mean"`
	Median    float64    `json:"median"`
	P10       float64    `json:"p10"`
	P90       float64    `json:"p90"`
	Min       float64    `json:"min"`
	Max       float64    `json:"max"`
	Deviation float64    `json:"standardDeviation"`
	Negative  float64    `json:"probabilityOfNegative" doc:"Share of the trials below 0"`
	Histogram []int      `json:"histogram" nullable:"false" doc:"Trials in 30 equal parts of min to max"`
	Samples   []float64  `json:"samples,omitempty" doc:"Sorted"`
}

type monteCarlo struct {
	computation[monteCarloRequest, monteCarloData]
	heavy heavy
}

func monteCarloOperation(h heavy) monteCarlo {
	p := montecarlo.Preset()
	return monteCarlo{computation[monteCarloRequest, monteCarloData]{
		path: "/api/montecarlo", id: "monteCarlo", engine: "montecarlo", summary: "Value a company many times with uncertain drivers",
		description: "With Accept: text/event-stream the answer is a stream of events: progress ({\"done\":N,\"trials\":N}) and at the end result, which has what the JSON " +
			"answer has. A client that leaves ends the computation.",
		preset: monteCarloRequest{CaseFields: toFields(dcf.Preset()), Compat: true, Trials: p.Trials, VolPP: p.Growth, S2CVolPct: p.SalesToCap, CorrGM: p.Correlation},
	}, h}
}

// stream registers the operation, whose answer is JSON or a stream of events.
func (m monteCarlo) stream(a huma.API, s *service) {
	decoder, counts := strictjson.New[monteCarloRequest](), s.Metrics.Computation(m.engine)
	op := m.operation()
	op.Responses = answers[computedBody[monteCarloData]](a, map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}})
	type input struct {
		Payload casePayload
		Accept  string `header:"Accept"`
	}
	huma.Register(a, op, func(ctx context.Context, in *input) (*huma.StreamResponse, error) {
		request, err := m.read(decoder, counts, &computeInput{in.Payload})
		if err != nil {
			return nil, err
		}
		// Samples are ten times the rest, and few ask for the same ones twice. Asked before check, which draws a seed where there is none.
		q := question{path: m.path, body: in.Payload.bytes, once: request.Seed == "" || request.Samples}
		if v := violationsOf(request.check()); v != nil { // before the answer has begun
			counts.Invalid.Inc()
			return nil, v
		}
		if strings.Contains(in.Accept, "text/event-stream") {
			return m.events(ctx, s, counts, request)
		}
		return s.answered(ctx, q, func() (any, error) {
			workers, err := m.heavy.take(ctx, cap(m.heavy))
			if err != nil {
				return nil, s.uncomputed(ctx, counts, err)
			}
			defer m.heavy.give(workers)
			data, err := request.run(ctx, workers, nil)
			if err != nil {
				return nil, s.uncomputed(ctx, counts, err)
			}
			counts.OK.Inc()
			return computedBody[monteCarloData]{true, data}, nil
		})
	})
	m.document(a)
}

// events answers with a stream of events.
func (m monteCarlo) events(ctx context.Context, s *service, counts metrics.Computation, request monteCarloRequest) (*huma.StreamResponse, error) {
	workers, err := m.heavy.take(ctx, cap(m.heavy))
	if err != nil {
		return nil, s.uncomputed(ctx, counts, err)
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		defer m.heavy.give(workers)
		e := newEvents(out)
		data, err := request.run(ctx, workers, e.progress(request.Trials))
		if err == nil {
			e.result(computedBody[monteCarloData]{true, data})
			err = e.err
		}
		if err != nil {
			counts.Canceled.Inc()
			return
		}
		counts.OK.Inc()
	}}, nil
}

func (r *monteCarloRequest) settings() montecarlo.Settings {
	if r.Seed == "" {
		r.Seed = strconv.FormatUint(rand.Uint64(), 36)
	}
	margin := r.VolPP
	if r.MarginVolPP != nil {
		margin = *r.MarginVolPP
	}
	return montecarlo.Settings{Trials: r.Trials, Seed: montecarlo.Seed(r.Seed), Growth: r.VolPP, Margin: margin, SalesToCap: r.S2CVolPct, Correlation: r.CorrGM}
}

func (r *monteCarloRequest) valued() montecarlo.Case {
	return montecarlo.Case{Inputs: r.inputs(), Mode: mode(r.Compat)}
}

func (r *monteCarloRequest) check() error {
	if len(r.Seed) > 256 {
		return &dcf.InvalidError{Violations: []dcf.Violation{{Field: "seed", Message: "must have at most 256 bytes"}}}
	}
	return montecarlo.Validate(r.valued(), r.settings())
}

func (r *monteCarloRequest) run(ctx context.Context, workers int, progress func(int)) (monteCarloData, error) {
	s := r.settings()
	res, err := montecarlo.Run(ctx, r.valued(), s, workers, progress)
	if err != nil {
		return monteCarloData{}, err
	}
	d := monteCarloData{
		Compat: r.Compat, Params: r.CaseFields, Seed: r.Seed, Hash: s.Seed, Trials: res.Trials, Refused: res.Refused, Mean: res.Mean, Median: res.Median,
		P10: res.P10, P90: res.P90, Min: res.Min, Max: res.Max, Deviation: res.StandardDeviation, Negative: res.ProbabilityOfNegative, Histogram: res.Histogram[:],
	}
	if r.Samples {
		d.Samples = res.Samples
	}
	return d, nil
}

// events writes a stream of server-sent events (HTML §9.2). One goroutine uses it at a time; after the first error it says nothing.
type events struct {
	out     huma.Context
	flusher http.Flusher
	err     error
}

func newEvents(out huma.Context) *events {
	out.SetHeader("Content-Type", "text/event-stream")
	e := &events{out: out}
	e.flusher, _ = out.BodyWriter().(http.Flusher)
	return e
}

func (e *events) say(event string, v any) {
	if e.err != nil {
		return
	}
	text, err := json.Marshal(v)
	if err == nil {
		_, err = fmt.Fprintf(e.out.BodyWriter(), "event: %s\ndata: %s\n\n", event, text)
	}
	if e.err = err; err == nil && e.flusher != nil {
		e.flusher.Flush()
	}
}

// progressEvery is often enough for an eye, and seldom enough to cost nothing.
const progressEvery = 50 * time.Millisecond

// progress is montecarlo's, which is called from several goroutines: those that come while another writes, or too early, say nothing.
func (e *events) progress(trials int) func(done int) {
	turn := make(chan time.Time, 1)
	turn <- time.Time{}
	return func(done int) {
		select {
		case last := <-turn:
			if now := time.Now(); now.Sub(last) >= progressEvery {
				e.say("progress", map[string]int{"done": done, "trials": trials})
				last = now
			}
			turn <- last
		default:
		}
	}
}

func (e *events) result(v any) { e.say("result", v) }
