package validate_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// flows are what the policies let into pods and out of them: "who -> whom port/protocol".
func (c *cluster) flows(t *testing.T) (in, out []string) {
	t.Helper()
	for _, p := range c.policies {
		for _, w := range c.selected(t, &p.Spec.PodSelector) {
			for _, rule := range p.Spec.Ingress {
				for _, from := range c.peers(t, rule.From) {
					for _, port := range w.numbers(rule.Ports) {
						in = append(in, from+" -> "+w.name+" "+port)
					}
				}
			}
			for _, rule := range p.Spec.Egress {
				for _, to := range c.peers(t, rule.To) {
					for _, port := range w.numbers(rule.Ports) {
						out = append(out, w.name+" -> "+to+" "+port)
					}
				}
			}
			// Rules of a type that is not named are not looked at.
			if len(p.Spec.Ingress) > 0 != slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) && p.Name != "default-deny" ||
				len(p.Spec.Egress) > 0 != slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) && p.Name != "default-deny" {
				t.Errorf("NetworkPolicy %s is about %q", p.Name, p.Spec.PolicyTypes)
			}
		}
	}
	slices.Sort(in)
	slices.Sort(out)
	return slices.Compact(in), slices.Compact(out)
}

// peers are the workloads that a rule is about, or what it says of others.
func (c *cluster) peers(t *testing.T, list []networkingv1.NetworkPolicyPeer) (who []string) {
	t.Helper()
	if len(list) == 0 {
		return []string{"anybody"}
	}
	for _, p := range list {
		switch {
		case p.IPBlock != nil:
			who = append(who, p.IPBlock.CIDR)
		case p.NamespaceSelector == nil:
			who = append(who, names(c.selected(t, p.PodSelector))...)
		case p.PodSelector == nil:
			who = append(who, metav1.FormatLabelSelector(p.NamespaceSelector))
		default:
			who = append(who, metav1.FormatLabelSelector(p.NamespaceSelector)+","+metav1.FormatLabelSelector(p.PodSelector))
		}
	}
	return who
}

// numbers are a rule's ports as numbers, those by name as the pod has them.
func (w workload) numbers(ports []networkingv1.NetworkPolicyPort) (list []string) {
	if len(ports) == 0 {
		return []string{"every port"}
	}
	for _, p := range ports {
		n := p.Port.String()
		for _, have := range w.pod.Spec.Containers[0].Ports {
			if p.Port.Type == intstr.String && have.Name == p.Port.StrVal {
				n = strconv.Itoa(int(have.ContainerPort))
			}
		}
		list = append(list, n+"/"+string(*p.Protocol))
	}
	return list
}

// TestKubernetesPolicies: everything is denied that is not allowed, and who may talk to whom, at which port, is this and no more.
func TestKubernetesPolicies(t *testing.T) {
	for _, env := range variants {
		c := overlay(t, env)
		deny := slices.IndexFunc(c.policies, func(p networkingv1.NetworkPolicy) bool { return p.Name == "default-deny" })
		if p := c.policies[deny]; len(c.selected(t, &p.Spec.PodSelector)) != len(c.workloads) || len(p.Spec.PolicyTypes) != 2 || len(p.Spec.Ingress)+len(p.Spec.Egress) > 0 {
			t.Errorf("%s: %+v", env, p.Spec)
		}
		const scraper = "kubernetes.io/metadata.name=monitoring"
		wantIn := []string{"anybody -> weir 80/TCP", "anybody -> weir 443/TCP", "anybody -> weir 443/UDP", scraper + " -> weir 9180/TCP"}
		inside := []string{"weir -> valor-redis 6379/TCP"}
		for _, colour := range []string{"valor-api-blue", "valor-api-green"} {
			wantIn = append(wantIn, scraper+" -> "+colour+" 5002/TCP")
			inside = append(inside, "weir -> "+colour+" 5002/TCP", colour+" -> valor-postgres 5432/TCP", colour+" -> valor-redis 6379/TCP")
		}
		var wantOut []string
		for _, w := range c.workloads {
			const dns = " -> kubernetes.io/metadata.name=kube-system,k8s-app=kube-dns 53/"
			wantOut = append(wantOut, w.name+dns+"UDP", w.name+dns+"TCP")
		}
		if strings.HasPrefix(env, "production") { // databases are others', in their own namespace
			for i, line := range inside {
				if from, port, ours := strings.Cut(line, " -> valor-postgres "); ours {
					inside[i] = from + " -> kubernetes.io/metadata.name=databases " + port
				} else if from, port, ours := strings.Cut(line, " -> valor-redis "); ours {
					inside[i] = from + " -> kubernetes.io/metadata.name=databases " + port
				}
			}
		}
		if strings.HasSuffix(env, "watch") {
			wantOut = append(wantOut, "weir -> anybody 443/TCP", "weir -> anybody 6443/TCP")
		}
		for _, line := range inside { // both ends must agree
			wantOut = append(wantOut, line)
			if !strings.Contains(line, "-> kubernetes.io") {
				wantIn = append(wantIn, line)
			}
		}
		slices.Sort(wantIn)
		slices.Sort(wantOut)
		in, out := c.flows(t)
		if !slices.Equal(in, wantIn) {
			t.Errorf("%s: in:\n%s\nwant:\n%s", env, strings.Join(in, "\n"), strings.Join(wantIn, "\n"))
		}
		if !slices.Equal(out, wantOut) {
			t.Errorf("%s: out:\n%s\nwant:\n%s", env, strings.Join(out, "\n"), strings.Join(wantOut, "\n"))
		}
	}
}

// addressed are the host:port in a text, comments aside.
func addressed(text string) (list [][2]string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:^|[/@"'\s])([a-z][a-z0-9.-]*|127\.0\.0\.1):(\d{2,5})\b`).FindAllStringSubmatch(line, -1) {
			list = append(list, [2]string{m[1], m[2]})
		}
	}
	return list
}

// listens are the ports that a program of ours opens, by what it is told: "80/TCP".
func listens(config string) (list []string) {
	for _, m := range regexp.MustCompile(`(?m)^address = ":(\d+)"`).FindAllStringSubmatch(config, -1) {
		list = append(list, m[1]+"/TCP")
		if _, after, _ := strings.Cut(config, m[0]); strings.Contains(strings.SplitN(after, "\n[", 2)[0], `"h3"`) {
			list = append(list, m[1]+"/UDP")
		}
	}
	slices.Sort(list)
	return list
}

// told is what a pod's program is told: arguments, environment, and the files of its ConfigMap.
func (c *cluster) told(w workload) (texts []string) {
	main := w.pod.Spec.Containers[0]
	texts = slices.Concat(main.Command, main.Args)
	for _, v := range main.Env {
		texts = append(texts, v.Value)
	}
	for _, m := range c.configs {
		if slices.ContainsFunc(w.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == m.Name }) {
			for _, text := range m.Data {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// TestKubernetesAddresses: pods have the ports that their programs open, Services keep the numbers (redirects and Alt-Svc tell clients the listener's), and whatever a program is told to
// call is a Service at a port of its pods, which the policies let it reach.
func TestKubernetesAddresses(t *testing.T) {
	for _, env := range variants {
		c := overlay(t, env)
		in, out := c.flows(t)
		var calls []string
		for _, w := range c.workloads {
			main := w.pod.Spec.Containers[0]
			opens := map[string][]string{"weir": listens(edgeConfig(c)), "valor-api": {strings.TrimPrefix(variable(main, "VALOR_ADDRESS"), ":") + "/TCP"}, "postgres": {"5432/TCP"}, "redis": {"6379/TCP"}}[main.Name]
			var ports []string
			for _, p := range main.Ports {
				ports = append(ports, fmt.Sprintf("%d/%s", p.ContainerPort, protocol(p.Protocol)))
			}
			slices.Sort(ports)
			if !slices.Equal(ports, opens) {
				t.Errorf("%s: %s listens at %q and has the ports %q", env, w.name, opens, ports)
			}
			for _, a := range addressed(strings.Join(c.told(w), "\n")) {
				calls = append(calls, w.name+" "+a[0]+":"+a[1])
				if why := c.leads(t, w, a[0], a[1], in, out); why != "" {
					t.Errorf("%s: %s calls %s:%s: %s", env, w.name, a[0], a[1], why)
				}
			}
		}
		want := []string{"weir valor-redis:6379"}
		for _, colour := range []string{"valor-api-blue", "valor-api-green"} {
			want = append(want, colour+" valor-postgres:5432", colour+" valor-redis:6379")
			if !strings.HasSuffix(env, "watch") {
				want = append(want, "weir "+colour+":5002")
			}
		}
		slices.Sort(calls)
		slices.Sort(want)
		if !slices.Equal(calls, want) {
			t.Errorf("%s: calls %q, want %q", env, calls, want)
		}
		for _, s := range c.services {
			for _, w := range c.selected(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}) {
				for _, p := range s.Spec.Ports {
					if !w.port(intstr.FromInt32(p.Port), protocol(p.Protocol)) || !w.port(p.TargetPort, protocol(p.Protocol)) {
						t.Errorf("%s: Service %s: port %d is none of %s", env, s.Name, p.Port, w.name)
					}
				}
			}
		}
	}
}

func protocol(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// leads says why a call goes nowhere, or nothing.
func (c *cluster) leads(t *testing.T, from workload, host, port string, in, out []string) string {
	t.Helper()
	i := slices.IndexFunc(c.services, func(s corev1.Service) bool { return s.Name == host })
	if i < 0 {
		return "no such Service"
	}
	s := c.services[i]
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		if part := strings.Split(s.Spec.ExternalName, "."); len(part) != 5 || !slices.Contains(out, from.name+" -> kubernetes.io/metadata.name="+part[1]+" "+port+"/TCP") {
			return "no policy lets it out to " + s.Spec.ExternalName
		}
		return ""
	}
	if s.Spec.ClusterIP != corev1.ClusterIPNone || !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return strconv.Itoa(int(p.Port)) == port }) {
		return fmt.Sprintf("%+v", s.Spec)
	}
	for _, w := range c.selected(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector}) {
		if flow := from.name + " -> " + w.name + " " + port + "/TCP"; !slices.Contains(in, flow) || !slices.Contains(out, flow) {
			return "no policy for " + flow
		}
	}
	return ""
}
