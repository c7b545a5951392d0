package edgetls

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/net/publicsuffix"
)

// Rate is a token bucket, as Let's Encrypt counts: Count at once, and one more after every Per/Count. No Count is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// interval is the time in which one comes back.
func (r Rate) interval() time.Duration { return r.Per / time.Duration(r.Count) }

// Limits are what a CA allows.
type Limits struct {
	Failures  Rate // failed validations of one host
	SameNames Rate // certificates for exactly the same names
	Domain    Rate // certificates for new names under one registered domain (an IPv4 address, a /64 of IPv6)
	Orders    Rate // orders for new names
}

// limitsOf are the documented limits of a directory: Let's Encrypt's (https://letsencrypt.org/docs/rate-limits/, as of 2025-06-12), none for
// others, whose limits are not known.
func limitsOf(directory string, configured *Limits) Limits {
	if configured != nil {
		return *configured
	}
	if strings.HasSuffix(authorityName(directory), "api.letsencrypt.org") {
		return Limits{
			Failures: Rate{5, time.Hour}, SameNames: Rate{5, week}, Domain: Rate{50, week}, Orders: Rate{300, 3 * time.Hour},
		}
	}
	return Limits{}
}

const week = 7 * 24 * time.Hour

// renewal is what a CA takes an order for. Let's Encrypt holds those that replace a certificate by its word (RFC 9773 §5) to none of its limits, and
// those for names it has issued for before neither to that of orders nor to that of the domain (the page above, "Non-ARI Renewals").
type renewal int

const (
	newNames renewal = iota
	sameNames
	replaces
)

// budget is one of a CA's limits for one subject.
type budget struct {
	key     string // in the ledger
	rate    Rate
	spentBy spending
	what    string // "failed validations of a.example"
	hint    string // " Is …?"
}

// spending is what uses a budget up.
type spending int

const (
	byOrder spending = iota
	byCertificate
	byFailure
)

// budgets are what an order is held to. Failed validations count for every kind: what fails five times in an hour does so a sixth time.
func (l Limits) budgets(directory, name string, kind renewal) []budget {
	list := []budget{{key: directory + " failures " + strings.TrimPrefix(name, "*."), rate: l.Failures, spentBy: byFailure, what: "failed validations of " + name}}
	if kind != replaces {
		list = append(list, budget{key: directory + " names " + name, rate: l.SameNames, spentBy: byCertificate, what: "certificates for " + name,
			hint: " Is the state folder being emptied?"})
	}
	if kind == newNames {
		domain := registeredDomain(name)
		list = append(list, budget{key: directory + " domain " + domain, rate: l.Domain, spentBy: byCertificate, what: "certificates under " + domain},
			budget{key: directory + " orders", rate: l.Orders, spentBy: byOrder, what: "orders"})
	}
	return slices.DeleteFunc(list, func(b budget) bool { return b.rate.Count <= 0 })
}

// registeredDomain is what a CA counts the certificates of a name under.
func registeredDomain(name string) string {
	name = strings.TrimPrefix(name, "*.")
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip = ip.Unmap(); ip.Is4() {
			return ip.String()
		}
		prefix, _ := ip.WithZone("").Prefix(64) // fails for more bits than an address has
		return prefix.String()
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name // is a public suffix itself
	}
	return domain
}

// ledger remembers across restarts, and among the replicas of one storage, what CAs were asked, so that a crash loop or a wrong DNS record does not use up
// what they allow. For each budget it holds the time at which it is whole again (GCRA's theoretical arrival time), which is all that a token bucket needs.
type ledger struct {
	storage certmagic.Storage
	mu      sync.Mutex // one change at a time within the process; the storage's lock orders processes
}

const (
	ledgerKey  = "ledger.json"
	ledgerWait = 5 * time.Second // for storage and its lock; an order goes on without its entry rather than not at all
)

// take spends one of each budget that an order or its certificate uses up, or none and says when all of them, failures too, have one.
func (l *ledger) take(ctx context.Context, who string, budgets []budget, now time.Time) error {
	if len(budgets) == 0 {
		return nil
	}
	var refused error
	err := l.change(ctx, now, func(whole map[string]time.Time) {
		if refused = refuse(who, budgets, whole, now); refused != nil {
			return
		}
		for _, b := range budgets {
			if b.spentBy != byFailure {
				b.spend(whole, now)
			}
		}
	})
	if refused != nil {
		return refused
	}
	return err
}

// settle returns what an order that ended without a certificate did not use up, and takes the failed validations that it ended with.
func (l *ledger) settle(ctx context.Context, budgets []budget, failures int, now time.Time) error {
	if len(budgets) == 0 {
		return nil
	}
	return l.change(ctx, now, func(whole map[string]time.Time) {
		for _, b := range budgets {
			switch b.spentBy {
			case byCertificate:
				whole[b.key] = whole[b.key].Add(-b.rate.interval())
			case byFailure:
				for range failures {
					b.spend(whole, now)
				}
			}
		}
	})
}

// refuse tells of the budget that is empty for longest, if any is.
func refuse(who string, budgets []budget, whole map[string]time.Time, now time.Time) error {
	var no *refusal
	for _, b := range budgets {
		until := whole[b.key].Add(b.rate.interval() - b.rate.Per)
		if !until.After(now) || no != nil && until.Before(no.until) {
			continue
		}
		no = &refusal{until: until, words: fmt.Sprintf("%s was not asked: its limit is %d %s in %s; the next attempt is possible at %s.%s",
			who, b.rate.Count, b.what, inWords(b.rate.Per), until.UTC().Format(time.RFC3339), b.hint)}
	}
	if no == nil {
		return nil
	}
	return no
}

func (b budget) spend(whole map[string]time.Time, now time.Time) {
	at := whole[b.key]
	if at.Before(now) {
		at = now
	}
	whole[b.key] = at.Add(b.rate.interval())
}

// change reads the ledger, lets by change it, and writes it back without what is whole again.
func (l *ledger) change(ctx context.Context, now time.Time, by func(whole map[string]time.Time)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, ledgerWait)
	defer cancel()
	if err := l.storage.Lock(ctx, ledgerKey); err != nil {
		return fmt.Errorf("lock ledger: %w", err)
	}
	defer func() { _ = l.storage.Unlock(context.WithoutCancel(ctx), ledgerKey) }() // a lock that stays runs out by itself
	whole := l.read(ctx)
	by(whole)
	maps.DeleteFunc(whole, func(_ string, at time.Time) bool { return !at.After(now) })
	data, err := json.MarshalIndent(whole, "", " ")
	if err == nil {
		err = l.storage.Store(ctx, ledgerKey, data)
	}
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

// read gives what is stored. An unreadable ledger counts as empty: it protects from a CA's limits, which the CA holds itself.
func (l *ledger) read(ctx context.Context) map[string]time.Time {
	whole := map[string]time.Time{}
	if data, err := l.storage.Load(ctx, ledgerKey); err == nil && json.Unmarshal(data, &whole) != nil || whole == nil {
		return map[string]time.Time{}
	}
	return whole
}

// inWords is a period as a person says it.
func inWords(d time.Duration) string {
	switch d {
	case time.Hour:
		return "an hour"
	case week:
		return "a week"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
