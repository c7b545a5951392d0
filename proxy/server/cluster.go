package server

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// link is the way to the other replicas with what it was made of: a reload that changes none of it keeps the link.
type link struct {
	*cluster.Client
	from linkKey
}

type linkKey struct {
	url, caPEM, secret, previous, prefix string
	timeout                              time.Duration
}

// prepareCluster makes the link that a configuration wants, or takes over the one in use; nil when it wants none. A Redis that does not answer is a
// warning: an edge that cannot start without it would make it a single point of failure.
func (s *Server) prepareCluster(p *prepared, cfg *configs.Config) error {
	k := cfg.Cluster
	if k == nil {
		return nil
	}
	key := linkKey{url: k.Redis.Reveal(), caPEM: string(k.CAPEM), secret: k.Secret.Reveal(), previous: k.PreviousSecret.Reveal(), prefix: k.Prefix, timeout: k.Timeout}
	if used := s.cluster.Load(); used != nil && used.from == key {
		p.cluster = used
	} else {
		o := cluster.Options{
			URL: key.url, Secret: key.secret, Previous: key.previous, Prefix: key.prefix, Timeout: key.timeout, Replica: rand.Text(),
			Log: s.log, Metrics: s.metrics.Cluster(), Risen: s.retryCertificates,
		}
		if k.CAPEM != nil {
			o.Roots = x509.NewCertPool()
			o.Roots.AppendCertsFromPEM(k.CAPEM) // checked at load
		}
		client, err := cluster.New(o)
		if err != nil {
			return err
		}
		client.Start()
		p.cluster = &link{Client: client, from: key}
	}
	if st := p.cluster.State(); !st.Up {
		p.warnings = append(p.warnings, fmt.Sprintf("cluster: redis at %s does not answer, this weir goes on alone until it does: %s", st.Address, st.Error))
	}
	return nil
}

// sharing is what a limit counts through; nil: this process alone.
func (s *Server) sharing(shared bool) *limit.Sharing {
	if l := s.cluster.Load(); shared && l != nil {
		return l.Sharing()
	}
	return nil
}

// clusterStat is what scrapes ask for.
func (s *Server) clusterStat() (observe.ClusterStat, bool) {
	l := s.cluster.Load()
	if l == nil {
		return observe.ClusterStat{}, false
	}
	st := l.State()
	return observe.ClusterStat{Up: st.Up, Replicas: st.Replicas, Waiting: l.Sharing().Waiting(), Overflows: l.Sharing().Dropped()}, true
}

// describeCluster is the link as status shows it; nil: none. The warning is for what its state means for limits.
func (s *Server) describeCluster(cfg *configs.Config) (c *admin.Cluster, warning string) {
	l := s.cluster.Load()
	if l == nil {
		return nil, ""
	}
	st := l.State()
	c = &admin.Cluster{Address: st.Address, Up: st.Up, Since: st.Since, Error: st.Error, Replicas: st.Replicas}
	var shared []string
	for _, l := range cfg.Limits {
		if l.Shared && used(cfg, l.Name) {
			shared = append(shared, l.Name)
		}
	}
	if !st.Up && shared != nil {
		warning = fmt.Sprintf("redis is away: of the shared limits %s this weir gives its share, 1/%d", strings.Join(shared, ", "), st.Replicas)
	}
	return c, warning
}

// close ends a link that nothing in force uses any more.
func (l *link) close() {
	if l != nil {
		l.Close()
	}
}
