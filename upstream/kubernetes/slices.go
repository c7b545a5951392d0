package kubernetes

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Endpoint is one pod's port.
type Endpoint struct {
	Address netip.AddrPort
	// Draining pods end, and still answer: they finish what they have and get nothing new.
	Draining bool
}

// object is an EndpointSlice (discovery.k8s.io/v1), as far as it matters here.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	AddressType string `json:"addressType"`
	Endpoints   []pod  `json:"endpoints"`
	Ports       []port `json:"ports"`
}

// pod is one endpoint. Its addresses stand for each other, and by convention there is one.
type pod struct {
	Addresses  []string `json:"addresses"`
	Conditions struct {
		Ready       *bool `json:"ready"`
		Serving     *bool `json:"serving"`
		Terminating *bool `json:"terminating"`
	} `json:"conditions"`
	TargetRef struct {
		UID string `json:"uid"`
	} `json:"targetRef"`
}

type port struct {
	Name     string  `json:"name"`
	Port     *uint16 `json:"port"` // absent: all
	Protocol string  `json:"protocol"`
}

// standing is what a pod's conditions mean for it.
type standing uint8

const (
	out standing = iota
	draining
	ready
)

// standing reads the conditions as the API defines them: an unknown ready is true, an unknown serving is what ready is, an unknown terminating is false. Of pods that end only serving counts: of a Service that says
// publishNotReadyAddresses they are ready to the last.
func (p *pod) standing() standing {
	c := p.Conditions
	isReady := c.Ready == nil || *c.Ready
	serving := isReady
	if c.Serving != nil {
		serving = *c.Serving
	}
	switch ends := c.Terminating != nil && *c.Terminating; {
	case ends && serving:
		return draining
	case !ends && isReady:
		return ready
	default:
		return out
	}
}

// number is the pods' port that is wanted, of this slice. One without ports, as Services without any have, leaves the choice to who knows the number.
func (o *object) number(want string) (uint16, bool) {
	n, err := strconv.ParseUint(want, 10, 16)
	numeric := err == nil
	if numeric && len(o.Ports) == 0 {
		return uint16(n), true
	}
	for _, p := range o.Ports {
		switch {
		case p.Protocol != "" && p.Protocol != "TCP":
		case numeric && (p.Port == nil || *p.Port == uint16(n)):
			return uint16(n), true
		case !numeric && p.Name == want && p.Port != nil:
			return *p.Port, true
		}
	}
	return 0, false
}

// collection is a Service's slices by name.
type collection map[string]*object

// place is what a pod is known by among its slices: those of IPv4 and IPv6 both have it, and while the controller moves it from one slice to another, both may.
type place struct {
	address netip.AddrPort
	standing
}

// endpoints are the places of all pods that may be used, in a fixed order. Pods that end get nothing new while any other is ready; when none is, they are better than nobody, as kube-proxy has it too.
func (c collection) endpoints(port string) ([]Endpoint, error) {
	byPod := map[string]place{}
	usable, without := 0, map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		o := c[name]
		number, found := o.number(port)
		for i := range o.Endpoints {
			p := &o.Endpoints[i]
			at, ok := p.address(o.AddressType)
			s := p.standing()
			if !ok || s == out {
				continue
			}
			usable++
			if !found {
				without[o.offers()] = true
				continue
			}
			id := p.TargetRef.UID
			if id == "" {
				id = at.String() // nobody's pod, or one that the Service's owner lists by hand
			}
			next := place{netip.AddrPortFrom(at, number), s}
			if was, known := byPod[id]; !known || next.before(was) {
				byPod[id] = next
			}
		}
	}
	if usable > 0 && len(byPod) == 0 {
		return nil, fmt.Errorf("no pod has the port %q; there is %s", port, strings.Join(slices.Sorted(maps.Keys(without)), ", "))
	}
	return listed(byPod), nil
}

// before: of the places of one pod that which is ready counts, then IPv4, so that a pod is one target however many families it has, then the first in order.
func (p place) before(q place) bool {
	switch {
	case p.standing != q.standing:
		return p.standing > q.standing
	case p.address.Addr().Is4() != q.address.Addr().Is4():
		return p.address.Addr().Is4()
	default:
		return p.address.Compare(q.address) < 0
	}
}

// listed makes endpoints of places: two pods at one address, as those of the host's network, are one.
func listed(byPod map[string]place) []Endpoint {
	best := map[netip.AddrPort]standing{}
	for _, p := range byPod {
		best[p.address] = max(best[p.address], p.standing)
	}
	anyReady := false
	for _, s := range best {
		anyReady = anyReady || s == ready
	}
	list := make([]Endpoint, 0, len(best))
	for _, at := range slices.SortedFunc(maps.Keys(best), netip.AddrPort.Compare) {
		list = append(list, Endpoint{Address: at, Draining: anyReady && best[at] == draining})
	}
	return list
}

// address is the pod's, if it is one of the slice's family. FQDN slices are nobody's any more: what they name DNS targets do.
func (p *pod) address(family string) (netip.Addr, bool) {
	if len(p.Addresses) == 0 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(p.Addresses[0])
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return netip.Addr{}, false
	}
	return a, family == "IPv4" && a.Is4() || family == "IPv6" && a.Is6() && !a.Is4In6()
}

// offers lists a slice's ports for an error.
func (o *object) offers() string {
	var list []string
	for _, p := range o.Ports {
		number := "any number"
		if p.Port != nil {
			number = strconv.Itoa(int(*p.Port))
		}
		if p.Name != "" {
			number = p.Name + " = " + number
		}
		if p.Protocol != "" && p.Protocol != "TCP" {
			number += " (" + p.Protocol + ")"
		}
		list = append(list, number)
	}
	if list == nil {
		return "none with a name"
	}
	return strings.Join(list, ", ")
}
