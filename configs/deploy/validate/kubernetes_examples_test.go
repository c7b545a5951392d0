package validate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// example is as much of the kinds of others as the examples use. Another key is an error.
type example struct {
	metav1.TypeMeta
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		// Certificate
		SecretName string   `json:"secretName"`
		DNSNames   []string `json:"dnsNames"`
		PrivateKey *struct {
			Algorithm      string `json:"algorithm"`
			Size           int    `json:"size"`
			RotationPolicy string `json:"rotationPolicy"`
		} `json:"privateKey"`
		IssuerRef struct{ Group, Kind, Name string } `json:"issuerRef"`
		// Cluster
		Instances int `json:"instances"`
		Bootstrap struct {
			Initdb struct{ Database, Owner string }
		} `json:"bootstrap"`
		Postgresql struct{ Parameters map[string]string } `json:"postgresql"`
		Storage    struct{ Size string }                  `json:"storage"`
		// Gateway and its routes
		Class     string `json:"gatewayClassName"`
		Listeners []struct {
			Name, Hostname, Protocol string
			Port                     int32
			TLS                      struct{ Mode string } `json:"tls"`
			AllowedRoutes            struct{ Kinds []struct{ Kind string } }
		} `json:"listeners"`
		Parents   []struct{ Name, SectionName string } `json:"parentRefs"`
		Hostnames []string                             `json:"hostnames"`
		Rules     []struct {
			Backends []struct {
				Name string
				Port int32
			} `json:"backendRefs"`
		} `json:"rules"`
	} `json:"spec"`
}

// examples are the shipped ones by kind.
func examples(t *testing.T) map[string]example {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(kubernetesDir, "examples", "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	all := map[string]example{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range documents(text) {
			var e example
			if err := yaml.UnmarshalStrict(doc, &e); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			all[e.APIVersion+" "+e.Kind] = e
		}
	}
	return all
}

// TestKubernetesExamples: what the examples name is in the production overlay: the Secret, the host, the Services and their ports, the name and the database that the API calls.
func TestKubernetesExamples(t *testing.T) {
	c, all := overlay(t, "production"), examples(t)
	certificate, database := all["cert-manager.io/v1 Certificate"], all["postgresql.cnpg.io/v1 Cluster"]
	gateway, encrypted, plain := all["gateway.networking.k8s.io/v1 Gateway"], all["gateway.networking.k8s.io/v1alpha3 TLSRoute"], all["gateway.networking.k8s.io/v1 HTTPRoute"]
	if len(all) != 5 {
		t.Fatalf("%d examples", len(all))
	}
	host := ""
	for _, w := range c.workloads {
		if w.name == "weir" {
			host = variable(w.pod.Spec.Containers[0], "EDGE_HOST")
		}
	}
	for kind, e := range all {
		if want := map[bool]string{true: "databases", false: "weir-production"}[e.Kind == "Cluster"]; e.Metadata.Namespace != want {
			t.Errorf("%s is in %q", kind, e.Metadata.Namespace)
		}
		for _, h := range append(slices.Clone(e.Spec.DNSNames), e.Spec.Hostnames...) {
			if h != host {
				t.Errorf("%s: %s, the edge answers to %s", kind, h, host)
			}
		}
		for _, r := range e.Spec.Rules {
			for _, b := range r.Backends {
				if !slices.ContainsFunc(c.services, func(s corev1.Service) bool {
					return s.Name == b.Name && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Port == b.Port })
				}) {
					t.Errorf("%s: no Service %s:%d", kind, b.Name, b.Port)
				}
			}
		}
	}
	if s := certificate.Spec; s.SecretName != "weir-tls" || len(s.DNSNames) != 1 || s.PrivateKey == nil || s.PrivateKey.Algorithm != "ECDSA" || s.PrivateKey.Size != 256 || s.PrivateKey.RotationPolicy != "Always" ||
		s.IssuerRef.Group != "cert-manager.io" || s.IssuerRef.Kind != "ClusterIssuer" || s.IssuerRef.Name == "" {
		t.Errorf("%+v", s)
	}
	// Where a Service of the overlay leads to a name of another namespace, the example for it makes that name.
	if s := database.Spec; s.Instances < 3 || s.Storage.Size == "" || s.Bootstrap.Initdb.Database != "valor" || s.Bootstrap.Initdb.Owner != "valor" || !slices.ContainsFunc(c.services, func(s corev1.Service) bool {
		return s.Spec.ExternalName == fmt.Sprintf("%s-rw.%s.svc.cluster.local", database.Metadata.Name, database.Metadata.Namespace)
	}) {
		t.Errorf("%s: %+v", database.Metadata.Name, s)
	}
	for i, r := range []example{encrypted, plain} {
		if len(gateway.Spec.Listeners) != 2 || gateway.Spec.Class == "" || len(r.Spec.Parents) != 1 || len(r.Spec.Hostnames) != 1 || len(r.Spec.Rules) != 1 {
			t.Fatalf("%+v, %+v", gateway.Spec, r.Spec)
		}
		l := gateway.Spec.Listeners[i]
		if p := r.Spec.Parents[0]; p.Name != gateway.Metadata.Name || p.SectionName != l.Name || l.Hostname != host || l.Port != r.Spec.Rules[0].Backends[0].Port {
			t.Errorf("%s is of %+v, the listener is %+v", r.Kind, p, l)
		}
	}
	if tls, http := gateway.Spec.Listeners[0], gateway.Spec.Listeners[1]; tls.Protocol != "TLS" || tls.TLS.Mode != "Passthrough" || len(tls.AllowedRoutes.Kinds) != 1 || tls.AllowedRoutes.Kinds[0].Kind != "TLSRoute" || http.Protocol != "HTTP" {
		t.Errorf("%+v, %+v", tls, http)
	}
}

// TestKubernetesVersions: the programs of an overlay are those of one release, the chart's, and what an overlay says of its images and its host is about what is there.
func TestKubernetesVersions(t *testing.T) {
	var chart struct{ AppVersion string }
	if err := yaml.Unmarshal([]byte(read(t, "configs/deploy/helm/weir/Chart.yaml")), &chart); err != nil || chart.AppVersion == "" {
		t.Fatal(err, chart)
	}
	hosts := map[string]string{"staging": "staging.valor.example.com", "production": "valor.example.com"}
	for _, env := range overlays {
		var says struct {
			Images []struct{ Name, NewTag string }
		}
		if err := yaml.Unmarshal([]byte(read(t, "configs/deploy/kubernetes/overlays/"+env+"/kustomization.yaml")), &says); err != nil {
			t.Fatal(err)
		}
		images := map[string]bool{}
		for _, w := range overlay(t, env).workloads {
			for _, c := range append(slices.Clone(w.pod.Spec.InitContainers), w.pod.Spec.Containers...) {
				name, tag, _ := strings.Cut(c.Image, ":")
				if !strings.HasPrefix(name, "ghcr.io/valor-ivx/") {
					continue
				}
				images[name] = true
				if tag != chart.AppVersion {
					t.Errorf("%s: %s runs %s, the chart is of %s", env, w.name, c.Image, chart.AppVersion)
				}
			}
			if main := w.pod.Spec.Containers[0]; main.Name == "weir" && (variable(main, "EDGE_HOST") != hosts[env] || variable(main, "WEIR_TOKEN_FILE") != "/run/secrets/weir/admin-token") {
				t.Errorf("%s: %+v", env, main.Env)
			}
		}
		for _, i := range says.Images {
			if !images[i.Name] || i.NewTag != chart.AppVersion {
				t.Errorf("%s: %+v of %v", env, i, images)
			}
			delete(images, i.Name)
		}
		if len(images) > 0 {
			t.Errorf("%s: the versions of %v are not the overlay's", env, images)
		}
	}
}
