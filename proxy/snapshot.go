package proxy

import (
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/files"
	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
)

// Snapshot is one generation of routing state. It never changes; a reload or a change of weights publishes another. Pointers in it lead to
// resources that outlive it.
type Snapshot struct {
	Generation uint64
	Table      *route.Table
	Routes     []Route // in the table's order
	Unrouted   Route   // metrics of requests that match no route
	Access     *observe.AccessLog
	Recorder   *observe.Recorder // nil: off
	Trust      clientip.Trust    // proxies whose word about their clients is taken
	// ClientAuth says what is asked of clients' certificates, by host; nil: nothing anywhere.
	ClientAuth *edgetls.ClientAuths
	// Reports are where browsers report to; nil: no policy asks them to.
	Reports *Reports
	// Tracing is nil: requests take part in no trace.
	Tracing *Tracing
}

// Route is what a matched request needs to know.
type Route struct {
	Name       string
	Pattern    string             // of its paths, for traces
	Service    *Service           // nil where Files answers
	Files      *files.Site        // nil: Service is asked
	MaxBody    int64              // bytes of a request body; negative: no limit
	Timeout    time.Duration      // to the end of the response; 0: none
	Limits     *Limits            // nil: none
	Access     []*auth.AccessList // every one must let the client pass
	UserLimits *Limits            // those that count by who it is, asked behind Guard; nil: none
	Guard      *Guard             // nil: nobody is asked who they are
	Shield     *Shield            // nil: nothing is inspected
	Compress   *Compression       // nil: answers are sent as they are
	// Priority decides who is served when the service has a breaker and not all can be.
	Priority upstream.Priority
	Metrics  []*observe.Route // by Listener.Index
	Headers  []*header.Policy // fields of responses, by Listener.Index; nil: none
}

// Service is one service's generation: how traffic is split over its groups and how it is tried.
type Service struct {
	Name            string
	Split           *balancer.Split
	Shares          []balancer.Share // what Split was made of
	WhenEmpty       balancer.WhenEmpty
	Groups          []Group        // by the split's indices
	Ticket          *atomic.Uint64 // requests so far; outlives generations so that shares stay exact across them
	Tries           int            // at most this many peers per request
	Budget          *upstream.RetryBudget
	ConnectTimeout  time.Duration
	ResponseTimeout time.Duration // from the request's last byte to the response head
	IdleTimeout     time.Duration // between two reads of a response body
	HedgeDelay      time.Duration // without a response head for so long, a safe request is also sent to a second peer; 0: never
	HashKey         HashKey
	Secure          bool // its targets are spoken to over TLS, as traces tell
	Introduces      bool // its targets hear by PROXY headers whom a connection is for
	Metrics         *observe.Service
	Breaker         *upstream.Breaker // nil: none
	LowAgents       Agents            // whose requests are of low priority
	Queue           *observe.Queue    // nil without Breaker
	Sticky          Sticky
	Incumbents      balancer.Incumbents // splits of clients that were there before a group began to drain; Split is everybody else's
	Evicted         balancer.LiveMask   // groups that nobody gets, not even who asks
	Testers         []Tester            // nil: none
	Hold            *Hold               // in which requests wait while the service is paused; nil: it is not
	Trial           *Trial              // nil: no group is on trial
	Recent          *Recent             // nil: nobody is to be warmed by what is asked for
	Mirror          Mirror              // nil: no request is asked again
}

// Group is one colour of a service.
type Group struct {
	Name     string
	Pool     *upstream.Pool
	Metrics  *observe.Group
	Assigned *atomic.Uint64 // requests assigned to it, for the observed share
	Baseline uint64         // Assigned when the weights in force came into force
}

// HashKey says what a hashing policy hashes.
type HashKey struct {
	Source HashSource
	Name   string // header or cookie name
}

// HashSource is the kind of a HashKey.
type HashSource uint8

// The sources. None is for policies that do not hash.
const (
	HashNone HashSource = iota
	HashClientIP
	HashPath
	HashHeader
	HashCookie
)

// Listener is what the data path knows of the listener a connection came in by.
type Listener struct {
	Name   string
	Index  int    // into Route.Metrics; never reused while the process lives
	Scheme string // "http" or "https"
	Port   string
	// Redirect is the port of the https listener that what a route serves is redirected to; "": this listener serves itself.
	Redirect string
	// Alternative is what its answers over TLS and TCP say of HTTP/3; nil: nothing.
	Alternative *Alternative
	// HTTP2 says that a connection without TLS may begin with HTTP/2's preface (RFC 9113 §3.3); over TLS the handshake decides.
	HTTP2   bool
	Metrics *observe.Listener

	bounds atomic.Pointer[Bounds] // written by Bind, read once per connection; nil: those of Options
}
