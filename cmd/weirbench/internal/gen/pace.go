package gen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// beat is how often the pacer looks for requests that are due while nothing else wakes it. It is the
// generator's own share of a latency at worst; 5,000 wake-ups a second cost a few per cent of a core.
const beat = 200 * time.Microsecond

// Plan is an open-loop schedule: request i is due at i/Rate seconds, whatever became of the others.
type Plan struct {
	Rate     int // requests per second
	Duration time.Duration
	Grace    time.Duration // how long answers are waited for after the last request was due
	// AnyIdle gives a due request to any idle connection; otherwise request i belongs to
	// connection i modulo their number, and waits for it.
	AnyIdle bool
	// Refusals makes a 503 an answer of its own kind instead of an error.
	Refusals bool
}

// Report is what came of a plan. Latencies run from the moment a request was due, not from when it
// could be sent, so a proxy that stalls is charged for every request it held up (no coordinated
// omission). All times are nanoseconds, sorted.
type Report struct {
	Requests  int
	Latencies []int64 // of answered requests, and of unanswered ones the time they had waited
	Lags      []int64 // due to sent, for requests whose connection was free: the generator's own lateness
	Errors    int     // no answer, broken connection, or a status other than 200
	FirstErr  error   // nil without errors
	Good      []int64 // latencies of status 200 that came within the plan's duration, where refusals are allowed
	Refused   int     // 503s, where they are allowed
}

// Pace runs the plan on the pool. An error means the generator failed or ctx ended; what went wrong
// with requests is in the Report.
func (p *Pool) Pace(ctx context.Context, plan Plan) (Report, error) {
	total := int(plan.Duration.Seconds() * float64(plan.Rate))
	if plan.Rate <= 0 || total <= 0 || len(p.conns) == 0 {
		return Report{}, fmt.Errorf("pace %d requests/s for %v over %d connections: nothing to do", plan.Rate, plan.Duration, len(p.conns))
	}
	timer, err := p.startTimer()
	if err != nil {
		return Report{}, err
	}
	defer unix.Close(timer) // also takes it out of the epoll set
	r := newPacer(p, plan, total)
	end := plan.Duration + plan.Grace
	for r.settled < total && time.Since(r.start) < end {
		r.sendDue()
		if err := p.wait(ctx, 10, r); err != nil {
			return Report{}, err
		}
		drainTimer(timer)
	}
	if r.next < total {
		return Report{}, fmt.Errorf("pace %d requests/s: the generator itself was held up for %v", plan.Rate, plan.Grace)
	}
	r.giveUp()
	slices.Sort(r.report.Latencies)
	slices.Sort(r.report.Lags)
	slices.Sort(r.report.Good)
	return r.report, nil
}

func (p *Pool) startTimer() (int, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return -1, fmt.Errorf("create timer: %w", err)
	}
	every := unix.NsecToTimespec(int64(beat))
	err = unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil)
	if err == nil {
		err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1})
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("start timer: %w", err)
	}
	return fd, nil
}

// drainTimer clears the timer's readiness; not having expired yet (EAGAIN) is as good.
func drainTimer(fd int) {
	var count [8]byte
	_, _ = unix.Read(fd, count[:])
}

// pacer is one run of a plan. due times are nanoseconds since start.
type pacer struct {
	pool   *Pool
	plan   Plan
	total  int
	start  time.Time
	report Report

	next    int       // the first request not due yet
	settled int       // requests answered or failed
	due     []int64   // per connection: its outstanding request
	queues  [][]int64 // per connection: requests that wait for it (fixed assignment)
	idle    []int     // free connections, last used on top (AnyIdle)
	backlog []int64   // requests that wait for any connection (AnyIdle)
}

var errNoConn = errors.New("send request: its connection is gone")

func newPacer(p *Pool, plan Plan, total int) *pacer {
	r := &pacer{
		pool: p, plan: plan, total: total,
		due:    make([]int64, len(p.conns)),
		queues: make([][]int64, len(p.conns)),
		idle:   make([]int, 0, len(p.conns)),
	}
	r.report.Latencies = make([]int64, 0, total)
	r.report.Lags = make([]int64, 0, total)
	for i := range p.conns {
		if p.conns[i].fd >= 0 {
			r.idle = append(r.idle, i)
		}
	}
	r.start = time.Now()
	return r
}

// sendDue sends or queues every request whose time has come.
func (r *pacer) sendDue() {
	now := int64(time.Since(r.start))
	for r.next < r.total {
		due := int64(r.next) * int64(time.Second) / int64(r.plan.Rate)
		if due > now {
			return
		}
		i := r.next % len(r.pool.conns)
		r.next++
		r.report.Requests++
		switch {
		case !r.plan.AnyIdle && r.pool.conns[i].busy:
			r.queues[i] = append(r.queues[i], due)
		case !r.plan.AnyIdle:
			r.sendOn(i, due, true)
		case len(r.idle) > 0:
			r.sendOn(r.popIdle(), due, true)
		case len(r.pool.conns) == r.pool.closed:
			r.failed(errNoConn)
		default:
			r.backlog = append(r.backlog, due)
		}
	}
}

// sendOn sends a request on free connection i. own says that it goes out as early as the generator
// managed, so that its lateness is the generator's.
func (r *pacer) sendOn(i int, due int64, own bool) {
	if r.pool.conns[i].fd < 0 {
		r.failed(errNoConn)
		return
	}
	if own {
		r.report.Lags = append(r.report.Lags, int64(time.Since(r.start))-due)
	}
	r.due[i] = due
	if err := r.pool.send(i); err != nil {
		r.failed(err)
		r.pool.fail(i, r, err)
	}
}

func (r *pacer) answered(i, status int) {
	at := int64(time.Since(r.start))
	took := at - r.due[i]
	r.report.Latencies = append(r.report.Latencies, took)
	switch {
	case status == 200:
		if r.plan.Refusals && at <= int64(r.plan.Duration) {
			r.report.Good = append(r.report.Good, took)
		}
		r.settled++
	case status == 503 && r.plan.Refusals:
		r.report.Refused++
		r.settled++
	default:
		r.failed(fmt.Errorf("status %d", status))
	}
	switch {
	case len(r.queues[i]) > 0:
		due := r.queues[i][0]
		r.queues[i] = r.queues[i][1:]
		r.sendOn(i, due, false)
	case len(r.backlog) > 0:
		due := r.backlog[0]
		r.backlog = r.backlog[1:]
		r.sendOn(i, due, false)
	case r.plan.AnyIdle:
		r.idle = append(r.idle, i)
	}
}

func (r *pacer) broke(i int, busy bool, err error) {
	if busy {
		r.failed(err)
	}
	for range r.queues[i] {
		r.failed(err)
	}
	r.queues[i] = nil
	if r.pool.closed == len(r.pool.conns) {
		for range r.backlog {
			r.failed(err)
		}
		r.backlog = nil
	}
}

// popIdle takes a free connection. One that broke while idle is still listed: it is returned like
// any other and its request fails, as a client's would that had picked it.
func (r *pacer) popIdle() int {
	i := r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	return i
}

func (r *pacer) failed(err error) {
	r.settled++
	r.report.Errors++
	if r.report.FirstErr == nil {
		r.report.FirstErr = err
	}
}

// giveUp counts what is still unanswered as errors that took until now, so that a proxy which never
// answers cannot show better quantiles than one that answers late. The connections are dropped:
// their late answers would be taken for those of the next plan.
func (r *pacer) giveUp() {
	if r.settled == r.total {
		return
	}
	now := int64(time.Since(r.start))
	late := func(due int64) {
		r.report.Latencies = append(r.report.Latencies, now-due)
		r.failed(fmt.Errorf("no answer %v after it was due", time.Duration(now-due)))
	}
	for i := range r.pool.conns {
		for _, due := range r.queues[i] {
			late(due)
		}
		if r.pool.conns[i].busy {
			late(r.due[i])
			r.pool.drop(i)
			r.pool.closed++
		}
	}
	for _, due := range r.backlog {
		late(due)
	}
}
