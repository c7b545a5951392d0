package kubernetes_test

import (
	"fmt"
	"testing"

	"github.com/valor-ivx/weir/tls/certtest"
	"github.com/valor-ivx/weir/upstream/kubernetes"
	"github.com/valor-ivx/weir/upstream/kubetest"
)

// stranger is a root that has signed nothing.
func stranger(t *testing.T) string {
	t.Helper()
	return string(certtest.CA(t).PEM)
}

// TestWhoIsThere: what slices say, as the API defines it.
func TestWhoIsThere(t *testing.T) {
	a := start(t)
	is := func(conditions map[string]bool, addresses ...string) (list []kubetest.Pod) {
		for _, at := range addresses {
			list = append(list, kubetest.Pod{Address: at, UID: "uid-" + at, Conditions: conditions})
		}
		return list
	}
	nothing := map[string]bool{}
	published := map[string]bool{"ready": true, "serving": true, "terminating": true} // by publishNotReadyAddresses
	dead := map[string]bool{"ready": true, "serving": false, "terminating": true}
	http, same := []kubetest.Port{{Name: "http", Number: 80}}, "uid-1"
	for i, c := range []struct {
		name, port, want string
		slices           []kubetest.Slice
	}{
		{"nobody", "http", "[]", nil},
		{"ready", "http", "[10.0.0.1:80 10.0.0.2:80]", []kubetest.Slice{{Ports: http, Pods: is(nil, "10.0.0.2", "10.0.0.1")}}},
		{"conditions left out mean ready", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: is(nothing, "10.0.0.1")}}},
		{"not ready", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: append(is(nil, "10.0.0.1"), is(kubetest.NotReady(), "10.0.0.2")...)}}},
		{"all not ready", "http", "[]", []kubetest.Slice{{Ports: http, Pods: is(kubetest.NotReady(), "10.0.0.2")}}},
		{"ending", "http", "[10.0.0.1:80 10.0.0.2:80-]", []kubetest.Slice{{Ports: http, Pods: append(is(nil, "10.0.0.1"), is(kubetest.Ending(), "10.0.0.2")...)}}},
		{"ended", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: append(is(nil, "10.0.0.1"), is(kubetest.Ended(), "10.0.0.2")...)}}},
		{"those that end are better than nobody", "http", "[10.0.0.2:80]", []kubetest.Slice{{Ports: http, Pods: append(is(kubetest.NotReady(), "10.0.0.1"), is(kubetest.Ending(), "10.0.0.2")...)}}},
		{"published until they end", "http", "[10.0.0.1:80 10.0.0.2:80-]", []kubetest.Slice{{Ports: http, Pods: append(is(nil, "10.0.0.1"), append(is(published, "10.0.0.2"), is(dead, "10.0.0.3")...)...)}}},
		{"several slices, one pod in two", "http", "[10.0.0.1:80 10.0.0.2:80 10.0.0.3:80]", []kubetest.Slice{
			{Ports: http, Pods: append(is(nil, "10.0.0.1"), is(kubetest.NotReady(), "10.0.0.2")...)}, {Ports: http, Pods: is(nil, "10.0.0.2", "10.0.0.3")},
		}},
		{"IPv6", "http", "[[fd00::1]:80]", []kubetest.Slice{{Type: "IPv6", Ports: http, Pods: is(nil, "fd00::1")}}},
		{"two families, one target", "http", "[10.0.0.1:80 [fd00::2]:80]", []kubetest.Slice{
			{Type: "IPv6", Ports: http, Pods: append([]kubetest.Pod{{Address: "fd00::1", UID: same}}, is(nil, "fd00::2")...)}, {Ports: http, Pods: []kubetest.Pod{{Address: "10.0.0.1", UID: same}}},
		}},
		{"the family that is ready", "http", "[[fd00::1]:80]", []kubetest.Slice{
			{Type: "IPv6", Ports: http, Pods: []kubetest.Pod{{Address: "fd00::1", UID: same}}}, {Ports: http, Pods: []kubetest.Pod{{Address: "10.0.0.1", UID: same, Conditions: kubetest.Ending()}}},
		}},
		{"names are nobody", "http", "[]", []kubetest.Slice{{Type: "FQDN", Ports: http, Pods: is(nil, "api.example")}}},
		{"addresses that are none", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: is(nil, "10.0.0.1", "0.0.0.0", "224.0.0.1", "fd00::1", "x", "")}}},
		{"without a pod", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: []kubetest.Pod{{Address: "10.0.0.1"}, {Address: "10.0.0.1"}}}}},
		{"one address, two pods", "http", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: []kubetest.Pod{{Address: "10.0.0.1", UID: "a", Conditions: kubetest.Ending()}, {Address: "10.0.0.1", UID: "b"}}}}},
		{"ports by slice", "http", "[10.0.0.1:80 10.0.0.2:8080]", []kubetest.Slice{
			{Ports: http, Pods: is(nil, "10.0.0.1")}, {Ports: []kubetest.Port{{Name: "http", Number: 8080}}, Pods: is(nil, "10.0.0.2")},
		}},
		{"by number", "80", "[10.0.0.1:80]", []kubetest.Slice{{Ports: http, Pods: is(nil, "10.0.0.1")}}},
		{"by number of a port without a name", "80", "[10.0.0.1:80]", []kubetest.Slice{{Ports: []kubetest.Port{{Number: 80}}, Pods: is(nil, "10.0.0.1")}}},
		{"all ports", "81", "[10.0.0.1:81]", []kubetest.Slice{{Ports: []kubetest.Port{{}}, Pods: is(nil, "10.0.0.1")}}},
		{"no ports at all", "81", "[10.0.0.1:81]", []kubetest.Slice{{Pods: is(nil, "10.0.0.1")}}},
		{"another name", "web", `no pod has the port "web"; there is http = 80, quic = 443 (UDP)`, []kubetest.Slice{{Ports: append([]kubetest.Port{}, kubetest.Port{Name: "http", Number: 80}, kubetest.Port{Name: "quic", Number: 443, Protocol: "UDP"}), Pods: is(nil, "10.0.0.1")}}},
		{"another number", "81", `no pod has the port "81"; there is http = 80`, []kubetest.Slice{{Ports: http, Pods: is(nil, "10.0.0.1")}}},
		{"another protocol", "443", `no pod has the port "443"`, []kubetest.Slice{{Ports: []kubetest.Port{{Name: "quic", Number: 443, Protocol: "UDP"}}, Pods: is(nil, "10.0.0.1")}}},
		{"a name where there are none", "http", `no pod has the port "http"; there is none with a name`, []kubetest.Slice{{Pods: is(nil, "10.0.0.1")}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			service := fmt.Sprintf("case-%d", i)
			for j, s := range c.slices {
				s.Service, s.Name = service, fmt.Sprintf("%s-%d", service, j)
				a.Apply(s)
			}
			follow(t, kubernetes.Service{API: access(a), Name: service, Port: c.port}).await(c.want)
		})
	}
}
