package upstream

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/balancer"
)

// Memory is what a registry has learnt of one address by its requests, for another process: how long it took to answer and how much failed, which a choice of peers goes by, its ejection with
// what may lead to the next one, its slow start and the limits found for it. What probes know is not in it: they ask anew. All times are ages, or what is left.
type Memory struct {
	Address string         `json:"address"`
	Answers *balancer.Past `json:"answers,omitempty"`

	Ejected   time.Duration `json:"ejected,omitempty"` // ago, the last time
	Left      time.Duration `json:"left,omitempty"`    // of that ejection; negative: it has been over for so long
	Level     int           `json:"level,omitempty"`   // ejections not forgiven
	Confirmed bool          `json:"confirmed,omitempty"`

	Consecutive int        `json:"consecutive,omitempty"` // silent outcomes in a row
	Record      [][3]int64 `json:"record,omitempty"`      // of the last minute, where anything failed: seconds ago, attempts, of those failed

	Joined time.Duration `json:"joined,omitempty"` // ago, beside others; 0: in no slow start
	Limits []Limit       `json:"limits,omitempty"` // one of each pool that finds them
}

// Limit is how many requests at a time one pool has found that an address can work on.
type Limit struct {
	Service  string  `json:"service"`
	Group    string  `json:"group"`
	Requests float64 `json:"requests"`
}

// clockStart is what a registry's clock shows when it begins: what another process tells of the time before is later than 0, which stands for never.
const clockStart = int64(time.Hour)

// Remember is what is known of the addresses in use, of so many at most: first those that failed.
func (r *Registry) Remember(most int) []Memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var list []Memory
	for _, e := range r.endpoints {
		if m, ok := e.remember(now); ok {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b Memory) int {
		if x, y := a.blamed(), b.blamed(); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Address, b.Address)
	})
	return list[:min(len(list), most)]
}

func (m *Memory) blamed() bool { return m.Level > 0 || m.Record != nil }

// remember reports false where nothing is known. Registry.mu is held.
func (e *endpoint) remember(now int64) (m Memory, known bool) {
	m.Address = e.address
	if p := e.load.Past(now); p.Age > 0 {
		m.Answers = &p
	}
	if j := &e.ejection; j.level > 0 || j.active(now) {
		m.Ejected, m.Left, m.Level, m.Confirmed = time.Duration(now-j.at), time.Duration(j.until-now), j.level, j.confirmed
	}
	e.mu.Lock()
	m.Consecutive, m.Record = e.detector.consecutive, e.detector.record(now)
	e.mu.Unlock()
	for _, p := range e.members {
		o := &p.pool.options
		if age := time.Duration(now - p.since); p.live && p.since > 0 && age < o.SlowStart {
			m.Joined = age
		}
		if level := p.governor.found(); level > 0 {
			m.Limits = append(m.Limits, Limit{o.Service, o.Group, level})
		}
	}
	return m, m.Answers != nil || m.Consecutive > 0 || m.blamed() || m.Joined > 0 || m.Limits != nil
}

// record is the seconds of the longest window that had attempts; nil where none of those failed.
func (d *detector) record(now int64) (list [][3]int64) {
	second, failed := now/int64(time.Second), int32(0)
	for i := range d.slots {
		if s := &d.slots[i]; s.total > 0 && s.second <= second && second-s.second < slots {
			list = append(list, [3]int64{second - s.second, int64(s.total), int64(s.failed)})
			failed += s.failed
		}
	}
	if failed == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b [3]int64) int { return int(a[0] - b[0]) })
	return list
}

// recall is the reverse, for a detector that has observed nothing.
func (d *detector) recall(consecutive int, record [][3]int64, age time.Duration, now int64) {
	d.consecutive = max(0, consecutive)
	const many = 1 << 30 // of a window of 61 no sum overflows
	for _, r := range record {
		ago := r[0] + int64(age/time.Second)
		if second := now/int64(time.Second) - ago; r[0] >= 0 && ago < slots && second > 0 && r[1] >= 0 && r[2] >= 0 {
			s := &d.slots[second%slots]
			s.second, s.total, s.failed = second, int32(min(r[1], many/slots)), int32(min(r[2], r[1], many/slots))
		}
	}
}

// Recall makes the registry know what another did that long ago, of the addresses that it has pools for and no request has been sent to yet, and says of how many. It is for the time before the first
// request.
func (r *Registry) Recall(list []Memory, age time.Duration) (known int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	changed := map[*Pool]bool{}
	for i := range list {
		e := r.endpoints[list[i].Address]
		if e == nil {
			continue
		}
		if p := list[i].Answers; p != nil {
			older := *p
			older.Age += age
			e.load.Recall(older, now)
		}
		judged := e.judged()
		if judged {
			e.recall(&list[i], age, now)
		}
		for _, p := range e.members {
			if p.recall(&list[i], age, now) || judged {
				changed[p.pool] = true
			}
		}
		known++
	}
	for p := range changed { // once each, however many of its peers are told of
		p.publish(now)
	}
	return known
}

// recall goes on in a slow start and with the limits that were found, and reports whether there was one. Registry.mu is held.
func (p *Peer) recall(m *Memory, age time.Duration, now int64) (changed bool) {
	o := &p.pool.options
	if m.Joined > 0 && m.Joined < o.SlowStart-age && p.live && p.since == 0 {
		p.since = max(1, now-int64(m.Joined+age))
		changed = true
	}
	for _, l := range m.Limits {
		if l.Service == o.Service && l.Group == o.Group && l.Requests > 0 && p.governor.recall(l.Requests, now) {
			changed = true
		}
	}
	return changed
}

// judged reports an address that some pool ejects by what its requests say. Registry.mu is held.
func (e *endpoint) judged() bool {
	return slices.ContainsFunc(e.members, func(m *Peer) bool { return m.rule != nil })
}

// recall puts a memory of that age in force. Registry.mu is held.
func (e *endpoint) recall(m *Memory, age time.Duration, now int64) {
	e.mu.Lock()
	e.detector.recall(m.Consecutive, m.Record, age, now)
	e.mu.Unlock()
	if m.Level <= 0 || e.ejection.level > 0 {
		return
	}
	at, until := now-int64(m.Ejected+age), now+int64(min(m.Left-age, maxEjection))
	if at <= 0 || until < at { // so long ago that nothing is left to forgive
		return
	}
	e.ejection = ejection{at: at, until: until, level: min(m.Level, maxLevel+1), confirmed: m.Confirmed}
	if !e.ejection.active(now) {
		return
	}
	for _, p := range e.members {
		if p.check != nil {
			p.check.hasten()
		}
		p.pool.registry.log.Info("upstream target is ejected as before", p.pool.fields(p, zap.Duration("weir.duration", time.Duration(until-now)))...)
	}
}
