package server

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"os"
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
			URL: key.url, Secret: key.secret, Previous: key.previous, Prefix: key.prefix, Timeout: key.timeout, Replica: replicaName(),
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

// replicaName is this process's among the replicas: the machine's, for people, and what no other has.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "weir"
	}
	return cmp.Or(host, "weir") + "-" + strings.ToLower(rand.Text()[:8])
}

// meet takes over what the replicas have set at run time, before this one is ready: a client must not get one answer here and another one there because this process is new. It
// waits for Redis for one exchange. Under Server.mu.
func (s *Server) meet(l *link) {
	if !l.State().Up {
		return // said by the link, and by status what that means
	}
	document, at, err := l.Document(s.runtime.Revision)
	if err == nil {
		err = sharedStore{s, l}.receive(document, at)
	}
	if err != nil && l.State().Up {
		s.misread(err)
	}
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
	return observe.ClusterStat{Up: st.Up, Replicas: st.Replicas, Revision: s.replicas.known.Load().Number, Waiting: l.Sharing().Waiting(), Overflows: l.Sharing().Dropped()}, true
}

// describeCluster is the link as status shows it; nil: none. The warnings are for what its state means.
func (s *Server) describeCluster(cfg *configs.Config) (c *admin.Cluster, warnings []string) {
	l := s.cluster.Load()
	if l == nil {
		return nil, nil
	}
	st := l.State()
	c = &admin.Cluster{Address: st.Address, Up: st.Up, Since: st.Since, Error: st.Error, Replicas: st.Replicas, Replica: l.Replica(), Revision: s.replicas.known.Load().Number}
	if wrong := s.replicas.wrong.Load(); wrong != nil {
		c.Refused = *wrong
	}
	switch {
	case c.Refused != "":
		warnings = append(warnings, "weights, drains and rollouts of the other replicas are not taken over: "+c.Refused)
	case !st.Up:
		warnings = append(warnings, fmt.Sprintf("redis is away: weights, drains and rollouts stay as of revision %d and cannot be changed for all replicas; a rollout can go back", c.Revision))
	}
	var shared []string
	for _, l := range cfg.Limits {
		if l.Shared && used(cfg, l.Name) {
			shared = append(shared, l.Name)
		}
	}
	if !st.Up && shared != nil {
		warnings = append(warnings, fmt.Sprintf("redis is away: of the shared limits %s this weir gives its share, 1/%d", strings.Join(shared, ", "), st.Replicas))
	}
	return c, warnings
}

// close ends a link that nothing in force uses any more.
func (l *link) close() {
	if l != nil {
		l.Close()
	}
}
