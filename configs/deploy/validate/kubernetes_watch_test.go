package validate_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// tokenDir is where weir looks for what the API gives a service account, if nothing else is said: the defaults of [kubernetes].
const tokenDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// watchingClusters are what watches pods, made by kustomize and by the chart.
func watchingClusters(t *testing.T) map[string]*cluster {
	t.Helper()
	return map[string]*cluster{
		"staging": overlay(t, "staging watch"), "production": overlay(t, "production watch"),
		"chart": manifests(t, render(t, object{"watch": object{"enabled": true}})),
	}
}

// TestWatchMayRead: the edge, and nobody else, may read EndpointSlices of its namespace, and nothing else; without the component there is no right at all.
func TestWatchMayRead(t *testing.T) {
	for name, c := range watchingClusters(t) {
		namespace := map[string]string{"chart": "x"}[name]
		if namespace == "" {
			namespace = "weir-" + name
		}
		if len(c.roles) != 1 || len(c.bindings) != 1 {
			t.Errorf("%s: %d Roles, %d RoleBindings", name, len(c.roles), len(c.bindings))
			continue
		}
		want := []rbacv1.PolicyRule{{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"get", "list", "watch"}}}
		if got := c.roles[0].Rules; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: the Role allows %+v, want %+v", name, got, want)
		}
		b := c.bindings[0]
		if (b.RoleRef != rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: c.roles[0].Name}) ||
			!slices.Equal(b.Subjects, []rbacv1.Subject{{Kind: "ServiceAccount", Name: "weir", Namespace: namespace}}) {
			t.Errorf("%s: %+v are bound to %+v", name, b.Subjects, b.RoleRef)
		}
		for _, w := range c.workloads {
			if a := w.pod.Spec.ServiceAccountName; (a == "weir") != (w.name == "weir") {
				t.Errorf("%s: %s runs as %q", name, w.name, a)
			}
		}
	}
	for _, env := range overlays {
		if c := overlay(t, env); len(c.roles)+len(c.bindings) > 0 {
			t.Errorf("%s: rights %+v %+v without need", env, c.roles, c.bindings)
		}
	}
}

// TestWatchToken: the token, the API server's roots and the namespace are where weir looks for them, in its container and in no other; no account has a token mounted by itself.
func TestWatchToken(t *testing.T) {
	if page := read(t, "docs/reference.md"); !strings.Contains(page, `"`+tokenDir+`/token"`) || !strings.Contains(page, `"`+tokenDir+`/ca.crt"`) {
		t.Errorf("[kubernetes] has other defaults than %s", tokenDir)
	}
	for name, c := range watchingClusters(t) {
		mounted := tokens(c)
		if want := []string{"weir weir " + tokenDir + "/ca.crt", "weir weir " + tokenDir + "/namespace", "weir weir " + tokenDir + "/token"}; !slices.Equal(mounted, want) {
			t.Errorf("%s: mounted are %q, want %q", name, mounted, want)
		}
		for _, a := range c.accounts {
			if a.AutomountServiceAccountToken == nil || *a.AutomountServiceAccountToken {
				t.Errorf("%s: ServiceAccount %s mounts its token everywhere", name, a.Name)
			}
		}
	}
	for _, env := range overlays {
		if mounted := tokens(overlay(t, env)); len(mounted) > 0 {
			t.Errorf("%s: mounted without need: %q", env, mounted)
		}
	}
}

// tokens are what volumes of the API's access bring into containers: workload, container and file.
func tokens(c *cluster) (list []string) {
	for _, w := range c.workloads {
		for _, v := range w.pod.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			var files []string
			for _, s := range v.Projected.Sources {
				switch {
				case s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == "" && *v.Projected.DefaultMode == 0o440:
					files = append(files, s.ServiceAccountToken.Path)
				case s.ConfigMap != nil && s.ConfigMap.Name == "kube-root-ca.crt" && s.ConfigMap.Items[0].Key == "ca.crt":
					files = append(files, s.ConfigMap.Items[0].Path)
				case s.DownwardAPI != nil && s.DownwardAPI.Items[0].FieldRef.FieldPath == "metadata.namespace":
					files = append(files, s.DownwardAPI.Items[0].Path)
				}
			}
			for _, container := range append(slices.Clone(w.pod.Spec.InitContainers), w.pod.Spec.Containers...) {
				for _, m := range container.VolumeMounts {
					for _, f := range files {
						if m.Name == v.Name && m.ReadOnly {
							list = append(list, w.name+" "+container.Name+" "+path.Join(m.MountPath, f))
						}
					}
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

// TestWatchTargets: the edge's pods have the configuration that watches, its targets are Services that are there, by a port they have, and the colours are found no other way.
func TestWatchTargets(t *testing.T) {
	target := regexp.MustCompile(`targets = \[\{ (\w+) = "([^":]+):([^"]+)" \}\]`)
	for name, c := range watchingClusters(t) {
		text := edgeConfig(c)
		found := target.FindAllStringSubmatch(text, -1)
		if len(found) != 2 || strings.Count(text, "targets = ") != 2 {
			t.Errorf("%s: targets %q", name, found)
		}
		for i, m := range found {
			colour := []string{"blue", "green"}[i]
			if m[1] != "kubernetes" || m[2] != "valor-api-"+colour || !strings.Contains(text, "[service.api.group."+colour+"]\n") {
				t.Errorf("%s: %s is %s", name, colour, m[0])
			}
			if !slices.ContainsFunc(c.services, func(s corev1.Service) bool {
				return s.Name == m[2] && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == m[3] })
			}) {
				t.Errorf("%s: there is no Service %s with a port %s", name, m[2], m[3])
			}
		}
	}
	for _, env := range overlays {
		if text := edgeConfig(overlay(t, env)); !strings.Contains(text, "dns = ") || strings.Contains(text, "kubernetes = ") {
			t.Errorf("%s: watches pods without the right to", env)
		}
	}
}

// edgeConfig is the configuration in the ConfigMap that the edge's pods mount.
func edgeConfig(c *cluster) string {
	for _, w := range c.workloads {
		for _, v := range w.pod.Spec.Volumes {
			for _, m := range c.configs {
				if w.name == "weir" && v.ConfigMap != nil && v.ConfigMap.Name == m.Name {
					return m.Data["weir.toml"]
				}
			}
		}
	}
	return ""
}

// TestWatchMayCall: the edge may call the API server on the ports that it has, of the Service (443) and behind it (6443), and nobody may call every address otherwise.
func TestWatchMayCall(t *testing.T) {
	for name, c := range watchingClusters(t) {
		for _, p := range c.policies {
			for _, out := range p.Spec.Egress {
				if len(out.To) == 0 && len(out.Ports) != 2 {
					t.Errorf("%s: NetworkPolicy %s opens %d ports of every address", name, p.Name, len(out.Ports))
				}
			}
		}
		for _, port := range []int{443, 6443} {
			if got := callers(t, c, port); !slices.Equal(got, []string{"weir"}) {
				t.Errorf("%s: %q may call the API server on port %d", name, got, port)
			}
		}
	}
	for _, env := range overlays {
		for _, port := range []int{443, 6443} {
			if got := callers(t, overlay(t, env), port); len(got) > 0 {
				t.Errorf("%s: %q may call everybody on port %d", env, got, port)
			}
		}
	}
}

// callers are the workloads that a policy lets out to every address on a port.
func callers(t *testing.T, c *cluster, port int) (list []string) {
	t.Helper()
	for _, p := range c.policies {
		for _, out := range p.Spec.Egress {
			if len(out.To) == 0 && slices.Contains(p.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) && slices.ContainsFunc(out.Ports, func(have networkingv1.NetworkPolicyPort) bool {
				return *have.Protocol == corev1.ProtocolTCP && *have.Port == intstr.FromInt(port)
			}) {
				list = append(list, names(c.selected(t, &p.Spec.PodSelector))...)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
