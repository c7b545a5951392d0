package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/csp"
	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/http3"
	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/waf"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
)

// Server is one running edge: the resources that outlive a configuration and the generation in force.
type Server struct {
	options  Options
	started  time.Time
	level    zap.AtomicLevel
	log      *zap.Logger
	audit    *zap.Logger // who changed what
	metrics  *observe.Metrics
	registry *upstream.Registry
	limits   *limit.Registry
	logins   *auth.Work // what verifying passwords may take
	certs    *edgetls.Manager
	tickets  *edgetls.Tickets // nil until start has a state folder
	stapler  *edgetls.Stapler // likewise
	proxy    *proxy.Proxy
	admin    *admin.Server
	overlay  overlayFile
	lock     *stateLock // nil until start has a state folder
	secret   []byte
	crowd    crowd
	http2    *http2.Counters // of clients' connections
	turns    *turns          // of handshakes, on all listeners
	http3    *http3.Counters // the same
	csp      *csp.Collector
	failures *observe.Failures
	tracing  tracing
	taps     *observe.Taps
	recorder *observe.Recorder // of the configuration in force; nil: off. Guarded by mu

	inspections *waf.Turns // of all firewalls
	tellFinding func(waf.Finding)

	cluster   atomic.Pointer[link] // nil: none; written by apply
	acme      atomic.Pointer[acme] // nil: none; written by apply, read by the data path and the admin API
	exporting sync.Mutex           // one export of certificates' metrics at a time, so that none overwrites a newer one

	logs      atomic.Pointer[logs] // written by apply; read by the logger
	upgrading atomic.Bool          // from the beginning of an upgrade to its end, or the process's
	upgrades  [2]uint64            // done and failed, of the whole line of processes; whoever has set upgrading may change them
	elders    elders               // endpoints of processes before this one
	handed    atomic.Bool          // set once: another process has taken over
	replaced  chan struct{}        // closed then
	answered  chan struct{}        // closed when the admin API has answered its last call after that
	orders    sync.WaitGroup       // upgrades that signals have asked for
	control   net.Listener         // the admin API's
	foreign   bool                 // control is a unix socket that somebody else removes
	spare     *os.File             // control's socket while an upgrade has closed it
	waits     bool                 // listeners do not accept yet: the process before this one does. Under mu
	stopping  atomic.Bool          // set once, when the process begins to end
	ending    context.Context      // ends with the call of end, at the same moment
	end       context.CancelFunc
	stops     chan admin.StopMode // from the admin API to Run
	hangups   chan struct{}       // SIGHUPs, from Run's loop to the reloader; capacity 1
	watcher   *watcher

	// targets holds the metric handles of upstream targets, for the registry's events, which come with the registry's lock held.
	targets targetMetrics

	// reloading makes loading a file and putting it in force one step: without it the older of two files could win. Taken before mu.
	reloading sync.Mutex
	// unconfirmed is what goes unless somebody confirms it, nil: nothing; dueBack is its timer, whose goroutine is one call of expired. Written under reloading.
	unconfirmed atomic.Pointer[unconfirmed]
	dueBack     *time.Timer
	watched     *replaced // what the file watch has replaced lately; nil: nothing, or something else has changed since. Under reloading

	// mu orders everything that changes what is served: apply, setWeights, resetWeights, shutdown. The data path never takes it. It is held
	// across a reload's wait for probes, so status reads current instead.
	mu        sync.Mutex
	indexes   map[string]int // listener name → proxy.Listener.Index, for the life of the process
	names     []string       // by index
	counters  map[string]*serviceCounters
	listeners []*listener
	fading    []*endpoint // that take no more connections
	runtime   overlay
	outgoing  []outgoing
	rollouts  rollouts // written under mu
	replicas  replicas
	incidents incidents
	shadows   shadows      // written under mu
	windows   shareWindows // the housekeeper's
	aside     string       // why the overlay file was set aside at start; never written after

	current atomic.Pointer[generation] // what is in force; written under mu
	looks   atomic.Uint64              // at it, for the admin API
	attempt atomic.Pointer[admin.ReloadAttempt]
}

// generation is a configuration in force with what it holds. It never changes; retiring it releases its pools.
type generation struct {
	number   uint64
	loaded   time.Time
	digest   [sha256.Size]byte
	plan     *plan
	acme     *acme
	guards   *guards
	wafs     wafs
	trees    trees
	cluster  *link
	ech      *edgetls.ECH
	pools    map[poolKey]*upstream.Pool
	services map[string]*proxy.Service
	snapshot *proxy.Snapshot
	logs     *logs
	runtime  overlay // the overlay that went into the snapshot
	voids    map[string]string
	warnings []string
	sockets  []*listener
}

type poolKey struct{ service, group string }

// start brings the edge up: state, configuration, listeners, admin. On error nothing is left open.
func start(o Options) (s *Server, err error) {
	cfg, seen, err := load(o.ConfigPath)
	if err != nil {
		return nil, err
	}
	s = &Server{
		options: o, started: time.Now(), level: zap.NewAtomicLevelAt(level(cfg.Log.Level)),
		certs: edgetls.NewManager(), stops: make(chan admin.StopMode, 2), hangups: make(chan struct{}, 1), replaced: make(chan struct{}), answered: make(chan struct{}), waits: o.Inherited.Predecessor() != nil,
		crowd: crowd{most: connectionsFor(openFilesLimit())},
		http2: new(http2.Counters), http3: new(http3.Counters), logins: auth.NewWork(loginsAtATime()),
		indexes: map[string]int{}, counters: map[string]*serviceCounters{}, failures: new(observe.Failures), taps: new(observe.Taps),
	}
	s.ending, s.end = context.WithCancel(context.Background())
	s.metrics = observe.NewMetrics(observe.Build{Version: o.Version})
	s.exportStats()
	s.metrics.SetGuardStats(s.guardStats)
	s.metrics.SetReasons(proxy.Reasons())
	s.log = observe.NewLogger(observe.LoggerOptions{Level: s.level, Output: output{s}, OnDrop: s.metrics.LogDropped})
	s.targets.metrics = s.metrics
	s.openShields()
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err = s.openOwn(cfg); err != nil {
		return s, err
	}
	if err = s.openOverlay(cfg); err != nil {
		return s, err
	}
	s.registry = upstream.NewRegistry(upstream.Options{Logger: s.log, Events: s.targets.events()})
	s.proxy = proxy.New(proxy.Options{Logger: s.log, Now: s.registry.Now, Challenge: s.answerChallenge, Certificates: s.certs.Store, Suspected: s.suspected, Failures: s.failures, Taps: s.taps}, nil)
	if err = s.openAdmin(cfg); err != nil {
		return s, err
	}
	if _, err = s.apply(context.Background(), cfg, "start"); err != nil {
		return s, err
	}
	if err = s.strangers(); err != nil {
		return s, err
	}
	if err = s.succeed(); err != nil {
		return s, err
	}
	// Before the admin API says that weir is ready: whoever waits for that may read the file next.
	if err = s.writePID(); err != nil {
		return s, err
	}
	s.resumeRollouts()
	if s.aside != "" {
		s.log.Error(s.aside)
	}
	s.watcher = newWatcher(s.log)
	s.watcher.watch(cfg.Files, seen)
	s.begun()
	return s, nil
}

// openOverlay reads what operators have set. What cannot be understood is set aside, unless another process lives by it.
func (s *Server) openOverlay(cfg *configs.Config) error {
	s.overlay = overlayFile{filepath.Join(cfg.Admin.StateDir, "overlay.json")}
	runtime, unreadable := s.overlay.load()
	s.put(runtime)
	if unreadable == nil {
		return nil
	}
	if s.options.Inherited.Predecessor() != nil {
		return unreadable
	}
	if err := s.overlay.setAside(); err != nil {
		return errors.Join(unreadable, err)
	}
	s.aside = fmt.Sprintf("the runtime overlay was set aside as %s, the file's weights are in force: %v", s.overlay.asidePath(), unreadable)
	return nil
}

// openOwn opens what is the process's own, whatever a reload says.
func (s *Server) openOwn(cfg *configs.Config) (err error) {
	if s.turns, err = newTurns(); err != nil {
		return err
	}
	if s.secret, err = openState(cfg.Admin.StateDir); err != nil {
		return err
	}
	if s.lock, err = openLock(cfg.Admin.StateDir); err != nil {
		return err
	}
	if s.options.Inherited.Predecessor() == nil { // else it is that one's until the last word
		if err = s.lock.take(); err != nil {
			return err
		}
	}
	s.limits = limit.NewRegistryUnder(s.limitsKey(), limit.DefaultKeys)
	s.openTickets(cfg)
	return nil
}

// openAdmin makes the admin API and opens its listener.
func (s *Server) openAdmin(cfg *configs.Config) (err error) {
	s.audit = observe.NewAudit(auditOutput{s})
	s.admin, err = admin.New(admin.Options{Control: control{s}, Log: s.log, Audit: s.audit, Metrics: s.metrics.Handler(), Token: cfg.Admin.Token.Reveal()})
	if err != nil {
		return err
	}
	s.control, err = s.listenAdmin(cfg.Admin.Address)
	return err
}

// removeStaleSocket removes a unix socket that nobody answers on, as a killed predecessor leaves it.
func removeStaleSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return
	}
	_ = os.Remove(path) // the bind that follows says what is wrong if this did not work
}

// serveAdmin's goroutine ends when the admin server is shut down, at the very end of the process.
func (s *Server) serveAdmin() {
	l := s.control // an upgrade replaces it
	go func() {
		if err := s.admin.Serve(l); err != nil && !(s.upgrading.Load() && errors.Is(err, net.ErrClosed)) {
			s.log.Error("admin API ended", observe.Err(err))
		}
	}()
}

// release closes what start opened, when it did not come to the end.
func (s *Server) release() {
	s.end()
	if s.control != nil {
		_ = s.control.Close()
	}
	s.options.Inherited.Close()
	for _, r := range s.rollouts.all() {
		r.runner.Close()
	}
	s.shadows.close()
	s.stopQUIC()
	if s.turns != nil {
		s.turns.close()
	}
	for _, l := range s.listeners {
		_ = l.socket.Close()
	}
	if a := s.acme.Load(); a != nil {
		a.Close()
	}
	if s.tickets != nil {
		s.tickets.Close()
	}
	s.tracing.close(closingTime)
	s.guards().closeBut(nil)
	s.wafs().closeBut(nil)
	s.trees().closeBut(nil)
	s.cluster.Load().close()
	if s.stapler != nil {
		s.stapler.Close()
	}
	if s.registry != nil {
		s.registry.Close()
	}
	if l := s.logs.Load(); l != nil {
		_ = l.closeBut(nil)
	}
	s.lock.close()
}

// listenerIndex is the index of a listener's metrics in every snapshot from now on.
func (s *Server) listenerIndex(name string) int {
	i, ok := s.indexes[name]
	if !ok {
		i = len(s.names)
		s.indexes[name] = i
		s.names = append(s.names, name)
	}
	return i
}

// Address is where the i-th listener of the file listens; for tests and for those that configured port 0.
func (s *Server) Address(i int) string { return s.current.Load().sockets[i].socket.Addr().String() }
