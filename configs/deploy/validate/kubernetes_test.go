package validate_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const kubernetesDir = "../kubernetes"

// cluster is what an overlay makes, by type.
type cluster struct {
	namespaces  []corev1.Namespace
	accounts    []corev1.ServiceAccount
	configs     []corev1.ConfigMap
	services    []corev1.Service
	scalers     []autoscalingv2.HorizontalPodAutoscaler
	budgets     []policyv1.PodDisruptionBudget
	policies    []networkingv1.NetworkPolicy
	monitors    []serviceMonitor
	roles       []rbacv1.Role
	bindings    []rbacv1.RoleBinding
	deployments []appsv1.Deployment
	stateful    []appsv1.StatefulSet
	workloads   []workload
}

// workload is what makes pods.
type workload struct {
	kind, name string
	selector   *metav1.LabelSelector
	pod        corev1.PodTemplateSpec
}

// serviceMonitor is what we use of the Prometheus Operator's.
type serviceMonitor struct {
	metav1.TypeMeta
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		JobLabel  string               `json:"jobLabel"`
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			Authorization struct {
				Credentials corev1.SecretKeySelector `json:"credentials"`
			} `json:"authorization"`
		} `json:"endpoints"`
	} `json:"spec"`
}

var overlays = []string{"staging", "production"}

// variants are the overlays as they are, and one that watches pods.
var variants = []string{"staging", "production", "production watch"}

// overlay builds one, with components added to it, as kubectl apply -k does.
func overlay(t *testing.T, name string) *cluster {
	t.Helper()
	if words := strings.Fields(name); len(words) > 1 {
		return manifests(t, source(t, "overlays/"+words[0], words[1:]...))
	}
	return manifests(t, kustomize(t, name, filepath.Join(kubernetesDir, "overlays", name)))
}

// made is what kustomize made, by what it was asked for: many tests ask for the same.
var made sync.Map

func kustomize(t *testing.T, what, dir string) []byte {
	t.Helper()
	if text, ok := made.Load(what); ok {
		return text.([]byte)
	}
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	text, err := all.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	made.Store(what, text)
	return text
}

// manifests reads manifests into the types of the API, in which a key that does not exist, or twice, or of another type, is an error.
func manifests(t *testing.T, text []byte) *cluster {
	t.Helper()
	c := new(cluster)
	for _, doc := range documents(text) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		switch kind.APIVersion + " " + kind.Kind {
		case "v1 Namespace":
			c.namespaces = strictly(t, doc, c.namespaces)
		case "v1 ServiceAccount":
			c.accounts = strictly(t, doc, c.accounts)
		case "v1 ConfigMap":
			c.configs = strictly(t, doc, c.configs)
		case "v1 Service":
			c.services = strictly(t, doc, c.services)
		case "autoscaling/v2 HorizontalPodAutoscaler":
			c.scalers = strictly(t, doc, c.scalers)
		case "policy/v1 PodDisruptionBudget":
			c.budgets = strictly(t, doc, c.budgets)
		case "networking.k8s.io/v1 NetworkPolicy":
			c.policies = strictly(t, doc, c.policies)
		case "rbac.authorization.k8s.io/v1 Role":
			c.roles = strictly(t, doc, c.roles)
		case "rbac.authorization.k8s.io/v1 RoleBinding":
			c.bindings = strictly(t, doc, c.bindings)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			c.monitors = strictly(t, doc, c.monitors)
		case "apps/v1 Deployment":
			c.deployments = strictly(t, doc, c.deployments)
		case "apps/v1 StatefulSet":
			c.stateful = strictly(t, doc, c.stateful)
		default: // Secrets too: they are made by secrets.sh, and never in a file of the tree
			t.Errorf("%s %s: not expected here", kind.APIVersion, kind.Kind)
		}
	}
	for _, d := range c.deployments {
		c.workloads = append(c.workloads, workload{"Deployment", d.Name, d.Spec.Selector, d.Spec.Template})
	}
	for _, s := range c.stateful {
		c.workloads = append(c.workloads, workload{"StatefulSet", s.Name, s.Spec.Selector, s.Spec.Template})
	}
	return c
}

func documents(manifests []byte) (list [][]byte) {
	for _, doc := range bytes.Split(manifests, []byte("\n---\n")) {
		if len(bytes.TrimSpace(doc)) > 0 {
			list = append(list, doc)
		}
	}
	return list
}

func strictly[T any](t *testing.T, doc []byte, list []T) []T {
	t.Helper()
	var one T
	if err := yaml.UnmarshalStrict(doc, &one); err != nil {
		t.Errorf("%v\n%s", err, doc)
	}
	return append(list, one)
}

// selected are the workloads whose pods a selector takes.
func (c *cluster) selected(t *testing.T, s *metav1.LabelSelector) (list []workload) {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range c.workloads {
		if selector.Matches(labels.Set(w.pod.Labels)) {
			list = append(list, w)
		}
	}
	return list
}

func names(list []workload) (all []string) {
	for _, w := range list {
		all = append(all, w.name)
	}
	return all
}

// port is the container port of a pod by name or number.
func (w workload) port(p intstr.IntOrString, protocol corev1.Protocol) bool {
	for _, c := range w.pod.Spec.Containers {
		for _, have := range c.Ports {
			same := have.Protocol == protocol || have.Protocol == "" && protocol == corev1.ProtocolTCP || protocol == "" && have.Protocol != corev1.ProtocolUDP
			if same && (p.Type == intstr.String && have.Name == p.StrVal || p.Type == intstr.Int && have.ContainerPort == p.IntVal) {
				return true
			}
		}
	}
	return false
}

// TestKubernetesNames: what deploy.sh and the documentation call by name is there under that name, in the overlay's namespace, and each colour's pods are its own.
func TestKubernetesNames(t *testing.T) {
	for _, env := range overlays {
		c := overlay(t, env)
		if len(c.namespaces) != 1 || c.namespaces[0].Name != "weir-"+env || c.namespaces[0].Labels["pod-security.kubernetes.io/enforce"] != "restricted" || c.namespaces[0].Labels["pod-security.kubernetes.io/warn"] != "restricted" {
			t.Errorf("%s: namespaces %+v", env, c.namespaces)
		}
		for service, want := range map[string][]string{"weir": {"weir"}, "weir-admin": {"weir"}, "valor-api-blue": {"valor-api-blue"}, "valor-api-green": {"valor-api-green"}} {
			i := slices.IndexFunc(c.services, func(s corev1.Service) bool { return s.Name == service })
			if i < 0 {
				t.Fatalf("%s: no Service %s", env, service)
			}
			if got := names(c.selected(t, &metav1.LabelSelector{MatchLabels: c.services[i].Spec.Selector})); !slices.Equal(got, want) {
				t.Errorf("%s: Service %s leads to %q, want %q", env, service, got, want)
			}
		}
		for _, w := range c.workloads {
			if w.kind != "Deployment" {
				continue
			}
			container, colour := "weir", ""
			if name, found := strings.CutPrefix(w.name, "valor-api-"); found {
				container, colour = "valor-api", name
			}
			main := w.pod.Spec.Containers[0]
			if len(w.pod.Spec.Containers) != 1 || main.Name != container || !strings.HasPrefix(main.Image, "ghcr.io/valor-ivx/"+container+":") ||
				w.pod.Labels["app.kubernetes.io/name"] != container || w.pod.Labels["weir.dev/colour"] != colour || w.selector.MatchLabels["weir.dev/colour"] != colour {
				t.Errorf("%s: %s: container %s of %s, labels %v, selector %v", env, w.name, main.Name, main.Image, w.pod.Labels, w.selector)
			}
			for _, v := range main.Env {
				if v.ValueFrom != nil && (v.Name != "VALOR_COLOR" || v.ValueFrom.FieldRef == nil || v.ValueFrom.FieldRef.FieldPath != "metadata.labels['weir.dev/colour']") {
					t.Errorf("%s: %s: %s comes from %+v", env, w.name, v.Name, v.ValueFrom)
				}
			}
		}
		// A name by contents would start new pods for each change, and the edge could not reload it.
		if !slices.ContainsFunc(c.configs, func(m corev1.ConfigMap) bool { return m.Name == "weir-config" }) {
			t.Errorf("%s: no ConfigMap weir-config", env)
		}
		for _, name := range []string{"valor-postgres", "valor-redis"} {
			if !slices.ContainsFunc(c.services, func(s corev1.Service) bool { return s.Name == name }) {
				t.Errorf("%s: no Service %s", env, name)
			}
		}
	}
}

// TestKubernetesSelects: every selector takes pods, every named port is one of theirs, every reference leads to what is there, in the same namespace.
func TestKubernetesSelects(t *testing.T) {
	for _, env := range variants {
		c := overlay(t, env)
		for _, w := range c.workloads {
			if got := names(c.selected(t, w.selector)); !slices.Equal(got, []string{w.name}) {
				t.Errorf("%s: %s %s selects the pods of %q", env, w.kind, w.name, got)
			}
			if a := w.pod.Spec.ServiceAccountName; a != "" && !slices.ContainsFunc(c.accounts, func(have corev1.ServiceAccount) bool { return have.Name == a }) {
				t.Errorf("%s: %s: no ServiceAccount %s", env, w.name, a)
			}
			for _, s := range w.pod.Spec.TopologySpreadConstraints {
				if !slices.Contains(names(c.selected(t, s.LabelSelector)), w.name) {
					t.Errorf("%s: %s spreads others", env, w.name)
				}
			}
		}
		for _, s := range c.services {
			checkService(t, c, s)
		}
		for _, b := range c.budgets {
			if len(c.selected(t, b.Spec.Selector)) != 1 {
				t.Errorf("%s: budget %s is about %q", env, b.Name, names(c.selected(t, b.Spec.Selector)))
			}
		}
		for _, p := range c.policies {
			checkPolicy(t, c, p)
		}
		for _, m := range c.monitors {
			checkMonitor(t, c, m)
		}
		for _, object := range c.objects() {
			if object.Namespace != "weir-"+strings.Fields(env)[0] {
				t.Errorf("%s: %s is in the namespace %q", env, object.Name, object.Namespace)
			}
			if object.Labels["app.kubernetes.io/part-of"] != "weir" {
				t.Errorf("%s: %s has the labels %v", env, object.Name, object.Labels)
			}
		}
	}
}

// objects are all that have a namespace.
func (c *cluster) objects() (list []metav1.ObjectMeta) {
	for _, o := range c.accounts {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.configs {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.services {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.scalers {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.budgets {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.policies {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.roles {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.bindings {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.deployments {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.stateful {
		list = append(list, o.ObjectMeta)
	}
	for _, o := range c.monitors {
		list = append(list, o.Metadata)
	}
	return list
}

func checkService(t *testing.T, c *cluster, s corev1.Service) {
	t.Helper()
	if s.Spec.Type == corev1.ServiceTypeExternalName {
		if s.Spec.ExternalName == "" || len(s.Spec.Selector) > 0 {
			t.Errorf("Service %s: %+v", s.Name, s.Spec)
		}
		return
	}
	pods := c.selected(t, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
	if len(pods) == 0 {
		t.Errorf("Service %s leads nowhere", s.Name)
	}
	for _, w := range pods {
		for _, p := range s.Spec.Ports {
			if !w.port(p.TargetPort, p.Protocol) {
				t.Errorf("Service %s: %s has no port %s/%s", s.Name, w.name, p.TargetPort.String(), p.Protocol)
			}
		}
	}
}

func checkPolicy(t *testing.T, c *cluster, p networkingv1.NetworkPolicy) {
	t.Helper()
	pods := c.selected(t, &p.Spec.PodSelector)
	if len(pods) == 0 {
		t.Errorf("NetworkPolicy %s is about nothing", p.Name)
	}
	open := func(w workload, ports []networkingv1.NetworkPolicyPort) {
		for _, port := range ports {
			if !w.port(*port.Port, *port.Protocol) {
				t.Errorf("NetworkPolicy %s: %s has no port %s/%s", p.Name, w.name, port.Port.String(), *port.Protocol)
			}
		}
	}
	for _, in := range p.Spec.Ingress {
		for _, w := range pods {
			open(w, in.Ports)
		}
	}
	for _, out := range p.Spec.Egress {
		for _, to := range out.To {
			if to.PodSelector == nil || to.NamespaceSelector != nil {
				continue
			}
			for _, w := range c.selected(t, to.PodSelector) {
				open(w, out.Ports)
			}
		}
	}
}

func checkMonitor(t *testing.T, c *cluster, m serviceMonitor) {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range c.services {
		if !selector.Matches(labels.Set(s.Labels)) {
			continue
		}
		found++
		for _, e := range m.Spec.Endpoints {
			if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port }) || e.Path != "/metrics" {
				t.Errorf("ServiceMonitor %s: %+v of Service %s", m.Metadata.Name, e, s.Name)
			}
		}
		if s.Labels[m.Spec.JobLabel] != m.Metadata.Name {
			t.Errorf("ServiceMonitor %s: the job of Service %s is %q", m.Metadata.Name, s.Name, s.Labels[m.Spec.JobLabel])
		}
	}
	if at := m.Spec.Endpoints[0].Authorization.Credentials; m.Metadata.Name == "weir" && (at.Name != "weir-secrets" || !strings.Contains(edgeConfig(c), "/run/secrets/weir/"+at.Key+"}")) {
		t.Errorf("ServiceMonitor weir: the token is %s of %s", at.Key, at.Name)
	}
	if want := map[string]int{"weir": 1, "valor-api": 2}[m.Metadata.Name]; found != want {
		t.Errorf("ServiceMonitor %s finds %d Services", m.Metadata.Name, found)
	}
}

// TestKubernetesScales: edge and both colours by CPU, memory and, in production, requests per second, under metrics that the adapter's rules make of what the programs export.
func TestKubernetesScales(t *testing.T) {
	made := adapted(t)
	for _, env := range overlays {
		c := overlay(t, env)
		if len(c.scalers) != 3 || len(c.budgets) != 3 {
			t.Errorf("%s: %d autoscalers, %d budgets", env, len(c.scalers), len(c.budgets))
		}
		for _, h := range c.scalers {
			d := slices.IndexFunc(c.deployments, func(d appsv1.Deployment) bool { return d.Name == h.Spec.ScaleTargetRef.Name })
			if d < 0 || h.Spec.ScaleTargetRef.Kind != "Deployment" || h.Spec.ScaleTargetRef.APIVersion != "apps/v1" {
				t.Fatalf("%s: %s scales %+v", env, h.Name, h.Spec.ScaleTargetRef)
			}
			if c.deployments[d].Spec.Replicas != nil {
				t.Errorf("%s: an apply takes back what %s has scaled", env, h.Name)
			}
			var by []string
			for _, m := range h.Spec.Metrics {
				switch {
				case m.Resource != nil:
					by = append(by, string(m.Resource.Name))
				case m.Pods != nil:
					by = append(by, m.Pods.Metric.Name)
					source := made[m.Pods.Metric.Name]
					if source == "" || !strings.Contains(read(t, "docs/metrics.md")+read(t, "app/metrics/metrics.go"), source) {
						t.Errorf("%s: %s scales by %s, which nobody makes", env, h.Name, m.Pods.Metric.Name)
					}
				}
			}
			want := []string{"cpu", "memory"}
			if env == "production" {
				want = append(want, map[bool]string{true: "weir", false: "valor"}[h.Name == "weir"]+"_http_requests_per_second")
			}
			if !slices.Equal(by, want) || *h.Spec.MinReplicas < 2 || h.Spec.MaxReplicas <= *h.Spec.MinReplicas {
				t.Errorf("%s: %s scales by %q from %d to %d", env, h.Name, by, *h.Spec.MinReplicas, h.Spec.MaxReplicas)
			}
			// A budget that allows no disruption at the least count would keep nodes from being drained.
			for _, b := range c.budgets {
				if b.Name == h.Name && b.Spec.MinAvailable != nil && b.Spec.MinAvailable.IntVal >= *h.Spec.MinReplicas {
					t.Errorf("%s: budget %s keeps %d of %d", env, b.Name, b.Spec.MinAvailable.IntVal, *h.Spec.MinReplicas)
				}
			}
		}
	}
}

// adapted are the metrics that the Prometheus adapter's rules make, and of which series: by name, of the pods that are asked for, each one's own rate.
func adapted(t *testing.T) map[string]string {
	t.Helper()
	var values struct {
		Rules struct {
			Custom []struct {
				Series    string `json:"seriesQuery"`
				Resources struct {
					Overrides map[string]struct{ Resource string }
				}
				Name    struct{ Matches, As string }
				Metrics string `json:"metricsQuery"`
			}
		}
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "configs/deploy/kubernetes/components/prometheus/adapter-rules.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	made := map[string]string{}
	for _, r := range values.Rules.Custom {
		series, matchers, _ := strings.Cut(strings.TrimSuffix(r.Series, "}"), "{")
		query := strings.NewReplacer("<<.Series>>", series, "<<.LabelMatchers>>", `namespace="n",pod=~"a|b"`, "<<.GroupBy>>", "pod").Replace(r.Metrics)
		e, err := parser.NewParser(parser.Options{}).ParseExpr(query)
		if err != nil || e.String() != `sum by (pod) (rate(`+series+`{namespace="n",pod=~"a|b"}[2m]))` || matchers != `namespace!="",pod!=""` ||
			fmt.Sprint(r.Resources.Overrides) != "map[namespace:{namespace} pod:{pod}]" {
			t.Errorf("%+v: %v, %v", r, e, err)
		}
		made[regexp.MustCompile(r.Name.Matches).ReplaceAllString(series, r.Name.As)] = series
	}
	return made
}

// exact is an image tag that stays what it is.
var exact = regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-\w+)?$`)
