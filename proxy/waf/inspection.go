package waf

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/corazawaf/coraza/v3/types"

	"github.com/valor-ivx/weir/proxy/message"
)

// Request is what is known of a request before its body.
type Request struct {
	*message.Request
	Client netip.Addr
	ID     string
}

// Decision is what became of an inspected request, and a metric label.
type Decision uint8

// The decisions. Partial is an allowed request of which only the beginning was inspected.
const (
	Allowed Decision = iota
	Partial
	Detected // would have been blocked
	Blocked
	FailedOpen
	FailedClosed
	decisions
)

var decisionNames = [decisions]string{"allowed", "partial", "detected", "blocked", "failed_open", "failed_closed"}

// String is the decision as metrics name it.
func (d Decision) String() string { return decisionNames[d] }

// Decisions are all decisions by their number.
func Decisions() []string { return append([]string(nil), decisionNames[:]...) }

// Inspection is one request being judged, by one goroutine. Its phases come in the order Head, Body, Answer; each reports whether the exchange may go on, and after
// one that reported false, or where the first judgement was final, nothing is judged any more.
type Inspection struct {
	waf      *WAF
	request  Request
	tx       types.Transaction
	decision Decision
	rules    []int // that matched with a message
	err      error
	over     bool // judged, or given up
}

// Begin makes the inspection of a request.
func (w *WAF) Begin(r Request) *Inspection {
	return &Inspection{waf: w, request: r, tx: w.engine.Load().waf.NewTransactionWithID(r.ID)}
}

// Head judges the connection, the URI and the header fields. body says that a Body will follow; without one the request is judged as a whole.
func (i *Inspection) Head(body bool) (pass bool) {
	return i.phase(func() (*types.Interruption, error) {
		i.introduce()
		if stop := i.tx.ProcessRequestHeaders(); stop != nil || body {
			return stop, nil
		}
		return i.tx.ProcessRequestBody()
	})
}

// Body judges the beginning of the body, at most MaxBody bytes of it, with all that was said before.
func (i *Inspection) Body(b []byte) (pass bool) {
	return i.phase(func() (*types.Interruption, error) {
		b = b[:min(len(b), i.waf.MaxBody)]
		if stop, _, err := i.tx.WriteRequestBody(b); stop != nil || err != nil {
			return stop, err
		}
		return i.tx.ProcessRequestBody()
	})
}

// Answer judges the status and the header fields of an upstream's response. What it finds comes too late for the upstream, not for the client.
func (i *Inspection) Answer(resp *message.Response) (pass bool) {
	return i.phase(func() (*types.Interruption, error) {
		for n := range resp.Header.Len() {
			f := resp.Header.At(n)
			i.tx.AddResponseHeader(string(f.Name()), string(f.Value()))
		}
		return i.tx.ProcessResponseHeaders(resp.Status, "HTTP/1.1"), nil
	})
}

// introduce says who asks for what.
func (i *Inspection) introduce() {
	r := i.request
	i.tx.ProcessConnection(r.Client.String(), 0, "", 0)
	uri := string(r.Path)
	if r.Query != nil {
		uri += "?" + string(r.Query)
	}
	i.tx.ProcessURI(uri, string(r.MethodName), protocol(r.Proto))
	host := string(r.Host)
	name, _, _ := strings.Cut(host, ":")
	i.tx.SetServerName(name)
	if host != "" {
		i.tx.AddRequestHeader("Host", host)
	}
	for n := range r.Header.Len() {
		if f := r.Header.At(n); f.ID() != message.Host {
			i.tx.AddRequestHeader(string(f.Name()), string(f.Value()))
		}
	}
}

func protocol(p message.Proto) string {
	switch p {
	case message.HTTP10:
		return "HTTP/1.0"
	case message.HTTP2:
		return "HTTP/2.0"
	case message.HTTP3:
		return "HTTP/3.0"
	}
	return "HTTP/1.1"
}

var (
	errBusy  = errors.New("no turn in time")
	errPanic = errors.New("the rules' engine panicked")
)

// phase is where a request waits for a turn to be judged, and judges it.
func (i *Inspection) phase(evaluate func() (*types.Interruption, error)) (pass bool) {
	if i.over {
		return i.passes()
	}
	stop, err := i.evaluate(evaluate)
	i.collect()
	switch {
	case err != nil:
		i.err, i.over, i.decision = err, true, FailedClosed
		if i.waf.FailOpen || !i.waf.Block {
			i.decision = FailedOpen
		}
	case stop != nil:
		i.over, i.decision = true, Detected
		if i.waf.Block {
			i.decision = Blocked
		}
	case slices.Contains(i.rules, ruleArguments) || slices.Contains(i.rules, ruleOversize):
		i.decision = Partial
	}
	return i.passes()
}

func (i *Inspection) passes() bool { return i.decision != Blocked && i.decision != FailedClosed }

func (i *Inspection) evaluate(f func() (*types.Interruption, error)) (stop *types.Interruption, err error) {
	if !i.waf.Turns.take(i.waf.Timeout) {
		return nil, errBusy
	}
	defer i.waf.Turns.give()
	defer func() {
		if bug := recover(); bug != nil {
			err = fmt.Errorf("%w: %v", errPanic, bug)
		}
	}()
	return f()
}

// collect notes the rules that matched and have something to say; the others only count and set.
func (i *Inspection) collect() {
	i.rules = i.rules[:0]
	for _, m := range i.tx.MatchedRules() {
		if m.Message() != "" {
			i.rules = append(i.rules, m.Rule().ID())
		}
	}
}

// Judged reports that nothing more will be: there is no need for a body any more.
func (i *Inspection) Judged() bool { return i.over }

// Decision is what has been decided so far.
func (i *Inspection) Decision() Decision { return i.decision }

// Failed is why the request could not be judged; nil when it could.
func (i *Inspection) Failed() error { return i.err }

// Rules are the numbers of the rules that matched, in their order, as the log has them; "" for none.
func (i *Inspection) Rules() string {
	if len(i.rules) == 0 {
		return ""
	}
	var b []byte
	for n, id := range i.rules {
		if n > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	return string(b)
}

// Finding is what rules found in a request, for people. Nothing in it is the request's own content but names of arguments and fields.
type Finding struct {
	WAF, RequestID string
	Decision       Decision
	Client         netip.Addr
	Rules          string
	Says           []string // messages of the rules, each with where it matched
	Err            error
}

// End tells of what was found, and gives the engine's memory back.
func (i *Inspection) End() {
	if tell := i.waf.Tell; tell != nil && (len(i.rules) > 0 || i.err != nil) {
		tell(Finding{i.waf.Name, i.request.ID, i.decision, i.request.Client, i.Rules(), i.says(), i.err})
	}
	if !errors.Is(i.err, errPanic) { // what panicked is not used again
		_ = i.tx.Close() // fails where somebody else has removed its temporary files
	}
}

// maxSays bounds what one finding says: an attack can match dozens of rules at dozens of places.
const maxSays = 8

func (i *Inspection) says() (list []string) {
	for _, m := range i.tx.MatchedRules() {
		if m.Message() == "" || len(list) == maxSays {
			continue
		}
		text := m.Message()
		if data := m.MatchedDatas(); len(data) > 0 && data[0].Variable().Name() != "TX" {
			text += " at " + data[0].Variable().Name()
			if key := data[0].Key(); key != "" {
				text += ":" + key[:min(len(key), 64)]
			}
		}
		list = append(list, strconv.Itoa(m.Rule().ID())+" "+text)
	}
	return list
}
