package server

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// seat is this process's place in a rollout that replicas carry out together: what it has counted goes to the one that leads, or comes from the others. Without [cluster] there
// is nobody else, and it is not asked.
type seat struct {
	mu sync.Mutex // guards what follows; held for copies. Taken after Server.mu

	leads  bool
	until  time.Time // the lease's end
	holder string    // of the lease, as last heard

	// term counts the states that this process has gone on with: what was counted for one is not told to the next.
	term  uint64
	inbox []rollout.Lot // of the others, for the next look
	fresh uint64        // reports in inbox
	heard uint64        // reports of the others in all, those in inbox among them

	outbox  []rollout.Lot // for the one that leads
	batch   uint64        // number of sending, or of the last one that arrived
	sending []rollout.Lot // a report of which nobody knows whether it arrived; nil: none
}

// lead makes a new seat that of the replica that has begun the rollout.
func (p *seat) lead(holder string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leads, p.holder, p.until = true, holder, time.Now().Add(cluster.LeaseLife)
}

// leading reports whether this process is the one that leads as far as it knows: its lease may have run out.
func (p *seat) leading() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leads
}

// take is a new term, with a state that has heard of so many reports.
func (p *seat) take(leads bool, heard uint64) (term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if leads {
		p.until = time.Now().Add(cluster.LeaseLife)
	}
	p.leads = leads
	p.term++
	p.inbox, p.fresh, p.heard = nil, 0, heard
	return p.term
}

// part is what this process has to say now.
func (p *seat) part(l *link) rollout.Part {
	if l == nil {
		return rollout.Leads
	}
	up := l.State().Up
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.leads && up && time.Now().Before(p.until):
		return rollout.Leads
	case p.leads || l.Away(cluster.LeaseLife): // a link that fell for a moment is no reason for every replica to judge by itself
		return rollout.GoesBack
	}
	return rollout.Follows
}

// deal adds what was counted here to a sample: what the one that leads takes in, and what one that follows keeps for it.
func (p *seat) deal(s *rollout.Sample, lots []rollout.Lot, together bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Lots, s.Term = lots, p.term
	if p.leads || !together {
		s.Lots, s.Heard = append(s.Lots, p.inbox...), p.fresh
		p.inbox, p.fresh = nil, 0
		return
	}
	for _, l := range lots {
		p.outbox = rollout.Gather(p.outbox, l)
	}
}

// report is what is to be sent next: again what may not have arrived, or what has gathered since; "" for nothing.
func (p *seat) report() (batch uint64, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sending == nil && p.outbox != nil {
		p.sending, p.outbox = p.outbox, nil
		p.batch++
	}
	if p.sending == nil {
		return p.batch, ""
	}
	b, err := json.Marshal(p.sending)
	if err != nil { // numbers that JSON cannot hold are in no lot
		p.sending = nil
		return p.batch, ""
	}
	return p.batch, string(b)
}

// reported notes an answer to report.
func (p *seat) reported(holder string, arrived bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder = holder; arrived {
		p.sending = nil
	}
}

// hear takes in what the others have reported, under a lease that ends then.
func (p *seat) hear(reports []string, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.leads {
		return
	}
	p.until = until
	for _, text := range reports {
		p.heard++
		p.fresh++
		var lots []rollout.Lot
		if json.Unmarshal([]byte(text), &lots) != nil {
			continue // whoever wrote it speaks another language: it is counted as heard, and says nothing
		}
		for _, l := range lots {
			if l.Share > 0 && l.Share <= 1 && l.Step > 0 {
				p.inbox = rollout.Gather(p.inbox, l)
			}
		}
	}
}

// position is how many reports were heard, and the holder of the lease.
func (p *seat) position() (heard uint64, holder string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard, p.holder
}
