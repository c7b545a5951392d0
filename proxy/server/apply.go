package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
)

// prepared is everything that a new generation needs and that could fail. Until commit, undo takes it back without a trace.
type prepared struct {
	plan     *plan
	store    *edgetls.Store
	cluster  *link        // nil: none
	acme     *acme        // nil: none
	ech      *edgetls.ECH // nil: none
	guards   *guards
	wafs     wafs
	trees    trees
	exporter *exporter // nil: none
	logs     *logs
	opened   []*listener        // new sockets
	sockets  []*listener        // all, in the file's order
	taken    map[*listener]bool // open listeners that one of sockets goes on with
	pools    map[poolKey]*upstream.Pool
	fresh    []*upstream.Pool // pools that the generation in force does not have
	warnings []string
}

// applied is what a successful apply did.
type applied struct {
	generation uint64
	unchanged  bool
	changed    []string
	warnings   []string
}

// apply puts a loaded configuration in force, or leaves everything as it was.
func (s *Server) apply(ctx context.Context, cfg *configs.Config, trigger string) (applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return applied{}, errStopping
	}
	old := s.current.Load()
	digest := cfg.Digest()
	if old != nil && old.digest == digest {
		return applied{generation: old.number, unchanged: true, changed: []string{}, warnings: old.warnings}, nil
	}
	p, err := s.prepare(cfg, old)
	if err != nil {
		return applied{}, err
	}
	dead := s.awaitPeers(ctx, p)
	if old == nil && p.cluster != nil {
		s.meet(p.cluster)
	}
	g := s.commit(p, old, digest)
	s.retire(old, g)
	s.retireRollouts()
	// Who is dead now is the news of this reload; the generation keeps only what stays true, status shows targets as they are.
	result := applied{generation: g.number, changed: []string{}, warnings: append(dead, g.warnings...)}
	if old != nil {
		result.changed = configs.Diff(old.plan.config, cfg)
	}
	s.log.Info("configuration in force", zap.Uint64(observe.KeyGeneration, g.number), zap.String("weir.trigger", trigger),
		zap.Strings("weir.changed", result.changed), zap.Strings("weir.warnings", result.warnings))
	return result, nil
}

var errStopping = errors.New("weir is stopping")

// prepare does all that can fail, and takes it back when something does.
func (s *Server) prepare(cfg *configs.Config, old *generation) (p *prepared, err error) {
	p = &prepared{pools: map[poolKey]*upstream.Pool{}}
	defer func() {
		if err != nil {
			p.undo(s)
		}
	}()
	if err = unchangeable(cfg, old); err != nil {
		return p, err
	}
	if p.plan, err = compile(cfg); err != nil {
		return p, err
	}
	p.warnings = slices.Concat(p.warnings, p.plan.table.Shadowed(), limitWarnings(cfg), presetWarnings(cfg, time.Now()), transportWarnings(cfg, time.Now()), crowdWarnings(cfg, openFilesLimit()), guardWarnings(cfg), reportWarnings(cfg), wafWarnings(cfg), shadowWarnings(cfg))
	if old == nil {
		p.warnings = append(p.warnings, doubts(cfg)...)
	}
	var pairs []edgetls.Pair
	for _, c := range cfg.TLS.Certificates {
		pairs = append(pairs, edgetls.Pair{Cert: c.Cert, Key: c.Key})
	}
	if p.store, err = s.certs.Prepare(pairs, time.Now()); err != nil {
		return p, err
	}
	if err = p.prepareClientAuth(cfg); err != nil {
		return p, err
	}
	p.warnings = append(p.warnings, p.store.Warnings()...)
	if p.ech, err = s.prepareECH(cfg); err != nil {
		return p, err
	}
	if p.guards, err = s.openGuards(cfg, old); err != nil {
		return p, err
	}
	if p.wafs, err = s.openWAFs(cfg, old); err != nil {
		return p, err
	}
	if p.trees, err = openTrees(cfg, old); err != nil {
		return p, err
	}
	if p.exporter, err = s.openExporter(cfg.Tracing); err != nil {
		return p, err
	}
	if p.logs, err = s.openLogs(cfg.Log, s.logs.Load()); err != nil {
		return p, err
	}
	if err = s.openListeners(p, cfg, old); err != nil {
		return p, err
	}
	if err = s.prepareCluster(p, cfg); err != nil {
		return p, err
	}
	p.warnings = append(p.warnings, quicWarnings(p.sockets)...)
	if p.acme, err = s.prepareACME(p, cfg); err != nil {
		return p, err
	}
	return p, s.acquirePools(p, old)
}

// unchangeable refuses what a running process cannot change; saying so beats applying half of a file.
func unchangeable(cfg *configs.Config, old *generation) error {
	if old == nil {
		return nil
	}
	was := old.plan.config.Admin
	switch {
	case was.Address != cfg.Admin.Address:
		return fmt.Errorf("admin.address cannot change from %s to %s while weir runs: restart it", was.Address, cfg.Admin.Address)
	case was.StateDir != cfg.Admin.StateDir:
		return fmt.Errorf("admin.state_dir cannot change from %s to %s while weir runs: restart it", was.StateDir, cfg.Admin.StateDir)
	}
	return nil
}

// openListeners binds what is new, the TLS ones first: those that redirect lead to the first of them, whose port may be the system's choice.
func (s *Server) openListeners(p *prepared, cfg *configs.Config, old *generation) error {
	sockets := make([]*listener, len(cfg.Listeners))
	redirect := ""
	p.taken = map[*listener]bool{}
	for _, secure := range []bool{true, false} {
		for i, c := range cfg.Listeners {
			if c.TLS != secure {
				continue
			}
			l, err := s.takeListener(p, listenerPlan{config: c, minVersion: cfg.TLS.MinVersion, redirect: redirect}, old)
			if err != nil {
				return err
			}
			sockets[i] = l
			if secure && redirect == "" {
				redirect = l.data.Port
			}
		}
	}
	p.sockets = sockets
	return nil
}

// predecessor is the open listener whose socket c goes on with: the one with its address, and of several (on port 0) the one with its name.
func (s *Server) predecessor(c configs.Listener, taken map[*listener]bool) (from *listener) {
	for _, l := range s.listeners {
		switch {
		case l.config.Address != c.Address || taken[l]:
		case l.config.Name == c.Name:
			return l
		case !strings.HasSuffix(c.Address, ":0"): // on port 0 another name is another listener
			from = l
		}
	}
	return from
}

// takeListener is the open listener that the plan describes, or a new one, which joins p.opened.
func (s *Server) takeListener(p *prepared, plan listenerPlan, old *generation) (*listener, error) {
	from := s.predecessor(plan.config, p.taken)
	p.taken[from] = true
	if from != nil && from.same(plan, old.plan.config.TLS.MinVersion) {
		return from, nil
	}
	l, err := s.openListener(plan, from)
	if err != nil {
		return nil, err
	}
	p.opened = append(p.opened, l)
	return l, nil
}

func (s *Server) acquirePools(p *prepared, old *generation) error {
	for _, o := range p.plan.pools {
		pool, err := s.registry.Acquire(o)
		if err != nil {
			return fmt.Errorf("service %s, group %s: %w", o.Service, o.Group, err)
		}
		key := poolKey{o.Service, o.Group}
		p.pools[key] = pool
		if old == nil || old.pools[key] != pool {
			p.fresh = append(p.fresh, pool)
		}
	}
	return nil
}

// undo releases what prepare acquired. Sockets that the generation in force uses are not touched.
func (p *prepared) undo(s *Server) {
	if p.acme != nil && p.acme != s.acme.Load() {
		p.acme.Close()
	}
	p.guards.closeBut(s.guards())
	p.wafs.closeBut(s.wafs())
	p.trees.closeBut(s.trees())
	p.exporter.closeBut(s.tracing.current)
	if p.cluster != s.cluster.Load() {
		p.cluster.close()
	}
	for _, pool := range p.pools {
		pool.Release()
	}
	for _, l := range p.opened {
		l.undoQUIC()
		if !l.inherited {
			_ = l.socket.Close()
		}
	}
	_ = p.logs.closeBut(s.logs.Load())
}

// awaitPeers waits until every name was looked up, every Service answered for and every new peer probed once, at most a look-up's time and one probe's timeout, and says which groups have nobody alive: a dead new
// target is a warning, because a deploy may name it before it starts.
func (s *Server) awaitPeers(ctx context.Context, p *prepared) (warnings []string) {
	var longest, lookup time.Duration
	for _, pool := range p.fresh {
		if h := pool.Options().Health; h != nil {
			longest = max(longest, h.Timeout)
		}
		if len(pool.Sources()) > 0 {
			lookup = lookupWait
		}
	}
	// The probe's own timeout plus what starting it takes.
	ctx, cancel := context.WithTimeout(ctx, min(longest+lookup+100*time.Millisecond, mostProbeWait))
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)() // a stop does not wait for probes
	for _, pool := range p.fresh {
		if pool.Options().Health == nil && len(pool.Sources()) == 0 {
			continue
		}
		pool.WaitKnown(ctx)
		warnings = append(warnings, silent(pool)...)
		for _, peer := range pool.Snapshot() {
			if peer.State != upstream.Healthy && peer.State != upstream.Draining {
				warnings = append(warnings, fmt.Sprintf("service %s, group %s: target %s is %s: %s", pool.Options().Service, pool.Options().Group,
					peer.Address, peer.State, orUnknown(peer.LastError)))
			}
		}
	}
	return warnings
}

// mostProbeWait bounds the wait where a probe may take minutes: a start that listens to nobody and hears no signal for longer looks like one that hangs.
const mostProbeWait = 5 * time.Second

func orUnknown(s string) string {
	if s == "" {
		return "no probe has ended yet"
	}
	return s
}

// commit puts a prepared generation in force. Nothing here can fail.
func (s *Server) commit(p *prepared, old *generation, digest [32]byte) *generation {
	g := &generation{number: 1, loaded: time.Now(), digest: digest, plan: p.plan, pools: p.pools, warnings: p.warnings, sockets: p.sockets}
	if old != nil {
		g.number = old.number + 1
	}
	s.logs.Store(p.logs)
	s.level.SetLevel(level(p.plan.config.Log.Level))
	// Refused only where a public listener would lose its token, which the configuration's own check has refused before.
	_ = s.admin.SetToken(p.plan.config.Admin.Token.Reveal())
	g.acme, g.cluster, g.ech, g.guards, g.wafs, g.trees = p.acme, p.cluster, p.ech, p.guards, p.wafs, p.trees
	s.cluster.Store(p.cluster)
	s.tracing.use(p.exporter)
	s.certs.UseECH(p.ech)
	s.certs.Commit(p.store)
	s.tickets.Use(s.ticketStore(p.plan.config), p.plan.config.TLS.SessionTicketRotation)
	s.commitACME(p.acme, p.plan.config)
	s.exportCertificates()
	if old == nil {
		s.incidents.begin(p.plan.config)
	}
	g.build(s, old)
	s.current.Store(g)
	s.proxy.Publish(g.snapshot)
	p.bound(s)
	for _, l := range s.listeners {
		if l.successor(p.opened) {
			l.handOver()
		}
	}
	if !s.waits {
		for _, l := range p.opened {
			l.start()
		}
	}
	return g
}

// successor reports whether one of the new listeners goes on with l's socket.
func (l *listener) successor(opened []*listener) bool {
	for _, o := range opened {
		if o.socket == l.socket {
			return true
		}
	}
	return false
}

// retire lets go of what the new generation does not have: sockets, pools, log outputs, metric series. Requests under way keep what they hold.
func (s *Server) retire(old, g *generation) {
	if old != nil && old.acme != nil && old.acme != g.acme {
		old.acme.Close() // before its listeners: where nobody listens it would itself
	}
	for _, l := range s.listeners {
		if !l.in(g.sockets) && !l.successor(g.sockets) {
			if err := l.close(); err != nil {
				s.log.Warn("close listener", zap.String(observe.KeyListener, l.config.Name), observe.Err(err))
			}
		}
	}
	s.retireQUIC(g.sockets)
	s.listeners = g.sockets
	if old != nil {
		old.guards.closeBut(g.guards)
		old.wafs.closeBut(g.wafs)
		old.trees.closeBut(g.trees)
		if old.cluster != g.cluster {
			old.cluster.close()
		}
		for _, pool := range old.pools {
			pool.Release()
		}
		if old.logs.replaced(g.logs) {
			s.outgoing = append(s.outgoing, outgoing{old.logs, g.logs, time.Now()})
		}
	}
	s.adapt(g)
	s.limits.Retain(limitNames(g.plan.config))
	s.retainReports(g.plan)
	s.metrics.Forget(s.inventory(g))
}

func (l *listener) in(list []*listener) bool {
	for _, o := range list {
		if o == l {
			return true
		}
	}
	return false
}

// exportCertificates may be called by anybody at any time: the last call exports what is in force by then.
func (s *Server) exportCertificates() {
	s.exporting.Lock()
	defer s.exporting.Unlock()
	var list []observe.Certificate
	for _, e := range s.certs.Store().NotAfter() {
		list = append(list, observe.Certificate{Subject: e.Subject, NotBefore: e.NotBefore, NotAfter: e.NotAfter})
	}
	s.metrics.SetCertificates(list)
}
