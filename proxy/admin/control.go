package admin

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned by a Control that has no service of the given name: 404.
var ErrNotFound = errors.New("no such service")

// ErrConflict is returned by a Control when Change.Match does not hold for the current version: 412.
var ErrConflict = errors.New("the state has changed since it was read")

// ErrStopping is returned by a Control for a write that comes after a stop began: 503.
var ErrStopping = errors.New("weir is stopping")

// Control is what the API needs of a running server. Every method may be called by several goroutines at
// once. Reads return values that nobody changes afterwards. A method that can wait ends when ctx does.
//
// A write receives the Change that asks for it and does three things under the lock that orders writes:
// it checks Change.Match against the current version (ErrConflict), it validates (*InvalidError), and only
// then touches anything.
type Control interface {
	// Status is the whole live state in one reading.
	Status() Status
	// Service is one service's live state, or ErrNotFound.
	Service(name string) (Service, error)
	// SetWeights puts weights in force as the runtime overlay, durably, and returns the state before and
	// after. The names are checked by Weights.Check against the groups that exist under the lock.
	SetWeights(ctx context.Context, service string, w Weights, c Change) (before, after Service, err error)
	// ResetWeights drops the overlay, so that the file's weights are in force again and nothing drains, is
	// evicted or paused; clients are dealt anew. Without an overlay it changes nothing and succeeds.
	ResetWeights(ctx context.Context, service string, c Change) (before, after Service, err error)
	// Steer carries an order out, durably, and returns the state before and after.
	Steer(ctx context.Context, service string, o Order, c Change) (before, after Service, err error)
	// Rollout is a service's last rollout, ErrNoRollout if it has had none.
	Rollout(service string) (Rollout, error)
	// StartRollout begins one, durably. While another one is under way it is a *BusyError. The state after carries the rollout.
	StartRollout(ctx context.Context, service string, q RolloutRequest, c Change) (before, after Service, err error)
	// TellRollout pauses, resumes or ends the one under way; after its end it is a *BusyError.
	TellRollout(ctx context.Context, service string, cmd RolloutCommand, c Change) (before, after Service, err error)
	// Shadow is what a service's shadow has found, ErrNoShadow if it has none.
	Shadow(service string) (Shadow, error)
	// ResetShadow makes it count anew.
	ResetShadow(ctx context.Context, service string, c Change) (before, after Shadow, err error)
	// Reload reads the configuration again and waits until it is in force or refused. A refused one is an
	// *InvalidError whose details carry positions. Change.Match is held against Status.Config.Version. With confirm more than 0, what was in force before is again after that time,
	// unless ConfirmReload is called.
	Reload(ctx context.Context, confirm time.Duration, c Change) (ReloadResult, error)
	// ConfirmReload makes a configuration stay that waits for that, RevertReload puts the one before it in force at once. ErrNothingUnconfirmed if none waits.
	ConfirmReload(c Change) (ReloadResult, error)
	RevertReload(ctx context.Context, c Change) (ReloadResult, error)
	// Plan says what a reload would do, without doing it. What would refuse the reload is the same *InvalidError.
	Plan(ctx context.Context, q PlanRequest, c Change) (Plan, error)
	// Explain decides a request without sending it.
	Explain(ctx context.Context, q ExplainRequest) (Explanation, error)
	// Config is the configuration in force, after defaults and expansion, with secrets redacted.
	Config() ConfigView
	// Certificates lists what a TLS listener can present.
	Certificates() []Certificate
	// ECH is what clients need for Encrypted Client Hello; empty when it is off.
	ECH() ECH
	// CSPReports are the kinds of reports that browsers sent on policies, the one seen last first. Never nil.
	CSPReports() []CSPReport
	// Incidents are those kept of rollbacks, the last one first; Incident is one of them, or ErrNoIncident.
	Incidents() ([]IncidentSummary, error)
	Incident(id string) (Incident, error)
	// Errors are the last requests that failed.
	Errors() RequestErrors
	// Requests are the last requests that q asks for, the last one first.
	Requests(q RequestQuery) Requests
	// Tap begins a watch of the requests that q chooses, as they end; ErrManyTaps when there are as many as may be. The caller closes it.
	Tap(q RequestQuery) (*Tap, error)
	// Frames calls emit with a frame at once and then once a second, until ctx ends. It is called once at a time, while somebody watches: what
	// it needs to make rates of counters is its own.
	Frames(ctx context.Context, emit func(Frame))
	// Ready says whether new traffic should be sent here, check by check. It is called for every probe and
	// does no I/O.
	Ready() []Check
	// Stop begins to end the process and returns at once; the caller's answer still has to be written, so the
	// admin listener is the last thing to close.
	Stop(mode StopMode, c Change) error
	// Upgrade starts the program anew and waits until the new process serves in this one's place, or could not: *InvalidError with its reasons, and everything is as before.
	// While one is under way every other write but Stop and ReopenLogs is a *BusyError.
	Upgrade(ctx context.Context, c Change) (UpgradeResult, error)
	// ReopenLogs closes and opens the log files again, as after logrotate.
	ReopenLogs(c Change) error
}

// Change says who asks for a write and under which condition.
type Change struct {
	// By is the name shown beside the change: what the client called itself and where it came from.
	// Printable ASCII, at most 128 bytes.
	By string
	// Match is the If-Match of the request. The zero value always holds.
	Match Precondition
}

// StopMode is how a stop treats what is in flight.
type StopMode int

const (
	// StopGracefully lets requests in flight finish, until the drain deadline.
	StopGracefully StopMode = iota
	// StopNow closes everything.
	StopNow
)

// String names the mode as the audit log does.
func (m StopMode) String() string {
	if m == StopNow {
		return "now"
	}
	return "graceful"
}

// Check is one reason for or against readiness.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}
