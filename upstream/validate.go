package upstream

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/valor-ivx/weir/upstream/kubernetes"
)

const (
	defaultConnectTimeout = 2 * time.Second
	defaultIdleTimeout    = 60 * time.Second
	defaultMaxIdle        = 1024
)

// complete checks o and fills its defaults in. The result shares no memory with o.
func (o PoolOptions) complete() (PoolOptions, error) {
	if err := o.checkTargets(); err != nil {
		return o, err
	}
	if o.ConnectTimeout < 0 || o.IdleTimeout < 0 || o.MaxIdle < 0 || o.SlowStart < 0 {
		return o, errors.New("check pool: a timeout or limit is negative")
	}
	if t := o.Transport; t.TLS && t.ServerName == "" && !t.Insecure {
		for _, target := range o.Targets {
			if target.host() == "" {
				return o, fmt.Errorf("check target %q: TLS to an srv target or a Service needs a server name", target.name())
			}
		}
	}
	if a := o.Adaptive; a != nil {
		if a.Min < 1 || a.Max < a.Min {
			return o, fmt.Errorf("check adaptive: min %d and max %d must be 1 or more, in this order", a.Min, a.Max)
		}
		o.Adaptive = &AdaptiveOptions{Min: a.Min, Max: a.Max}
	}
	o.Targets = append([]Target(nil), o.Targets...)
	orDefault(&o.ConnectTimeout, defaultConnectTimeout)
	orDefault(&o.IdleTimeout, defaultIdleTimeout)
	orDefault(&o.MaxIdle, defaultMaxIdle)
	if o.Health != nil {
		h, err := o.Health.complete()
		if err != nil {
			return o, err
		}
		o.Health = &h
	}
	if o.Ejection != nil {
		e, err := o.Ejection.complete()
		if err != nil {
			return o, err
		}
		o.Ejection = &e
	}
	return o, nil
}

// key is equal for equal descriptions.
func (o PoolOptions) key() string {
	var health HealthOptions
	var rule EjectionOptions
	if o.Health != nil {
		health = *o.Health
	}
	if o.Ejection != nil {
		rule = *o.Ejection
	}
	hasHealth, hasRule := o.Health != nil, o.Ejection != nil
	var adaptive AdaptiveOptions
	if o.Adaptive != nil {
		adaptive = *o.Adaptive
	}
	transport := o.Transport.digest()
	o.Health, o.Ejection, o.Transport, o.Adaptive = nil, nil, Transport{}, nil
	return fmt.Sprintf("%#v %x %t %#v %t %#v %v", o, transport, hasHealth, health, hasRule, rule, adaptive)
}

func (o PoolOptions) checkTargets() error {
	if len(o.Targets) == 0 {
		return errors.New("check targets: there are none")
	}
	seen := make(map[string]bool)
	for _, t := range o.Targets {
		if err := t.check(); err != nil {
			return err
		}
		name := t.Address + "|" + t.DNS + "|" + t.SRV + "|" + t.service()
		if seen[name] {
			return fmt.Errorf("check targets: %q is named twice", t.name())
		}
		seen[name] = true
	}
	return nil
}

func (t Target) name() string { return t.Address + t.DNS + t.SRV + t.service() }

func (t Target) service() string {
	if t.Service == (kubernetes.Service{}) {
		return ""
	}
	return t.Service.String()
}

func (t Target) check() error {
	set := 0
	for _, s := range []string{t.Address, t.DNS, t.SRV, t.service()} {
		if s != "" {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("check target %q: exactly one of address, dns, srv and a Service is needed", t.name())
	}
	if t.Weight < 0 || math.IsNaN(t.Weight) || math.IsInf(t.Weight, 0) {
		return fmt.Errorf("check target %q: weight %v is not a share", t.name(), t.Weight)
	}
	if t.SRV != "" {
		return nil
	}
	if t.service() != "" {
		if t.Service.Name == "" || t.Service.Port == "" {
			return fmt.Errorf("check target %q: a Service has a name and a port", t.name())
		}
		return nil
	}
	host, port, err := net.SplitHostPort(t.name())
	if err != nil {
		return fmt.Errorf("check target %q: %w", t.name(), err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("check target %q: port %q is not a number from 1 to 65535", t.name(), port)
	}
	if host == "" {
		return fmt.Errorf("check target %q: there is no host", t.name())
	}
	return nil
}

// canonical writes an address the way that discovery does, so that one place is one peer however it was named.
func canonical(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
	}
	return strings.ToLower(address)
}

func (h HealthOptions) complete() (HealthOptions, error) {
	if !h.GRPC && !strings.HasPrefix(h.Path, "/") || strings.ContainsAny(h.Path, " \r\n\t") {
		return h, fmt.Errorf("check health: path %q must start with / and hold no white space", h.Path)
	}
	if h.GRPC && h.Path != "" {
		return h, errors.New("check health: a path and a gRPC service are two different checks")
	}
	if h.Interval < 0 || h.Timeout < 0 || h.Rise < 0 || h.Fall < 0 {
		return h, errors.New("check health: interval, timeout, rise and fall must not be negative")
	}
	orDefault(&h.Interval, 2*time.Second)
	orDefault(&h.Timeout, time.Second)
	orDefault(&h.Rise, 2)
	orDefault(&h.Fall, 3)
	return h, nil
}

func (e EjectionOptions) complete() (EjectionOptions, error) {
	if e.Consecutive < 0 || e.MinRequests < 0 || e.Base < 0 {
		return e, errors.New("check ejection: consecutive, min requests and base must not be negative")
	}
	if !(e.ErrorRatio >= 0 && e.ErrorRatio <= 1) || !(e.MaxEjected >= 0 && e.MaxEjected <= 1) {
		return e, errors.New("check ejection: error_ratio and max_ejected must be from 0 to 1")
	}
	orDefault(&e.Window, 10*time.Second)
	orDefault(&e.MinRequests, 20)
	orDefault(&e.Base, 5*time.Second)
	if e.Window < time.Second || e.Window > maxWindow {
		return e, fmt.Errorf("check ejection: window %v must be from 1s to %v", e.Window, maxWindow)
	}
	return e, nil
}

func orDefault[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}
