package configs

import (
	"errors"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// Kubernetes is the API server that targets by kubernetes are asked of. In a pod whose service account may get, list and watch EndpointSlices nothing of this need be said.
type Kubernetes struct {
	// URL of the API server: https://, or http:// of this machine for kubectl proxy. Default: that of the cluster whose pod weir is
	// (KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT).
	Server string `toml:"server"`
	// PEM file with the roots that are trusted for it. Read for each request: what replaces it needs no reload.
	CA string `toml:"ca" default:"/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"`
	// File with the bearer token that is sent to it; empty, as it is by default with http://: none. Read for each request, so tokens may be as short-lived as kubelet makes them.
	TokenFile string `toml:"token_file" default:"/var/run/secrets/kubernetes.io/serviceaccount/token"`
	// Namespace of Services that name none. Default: weir's own, which kubelet writes beside the token of its service account.
	Namespace string `toml:"namespace"`
}

// KubernetesAPI is what [kubernetes] says, or its defaults where there is no such table.
func (c *Config) KubernetesAPI() Kubernetes {
	if c.Kubernetes != nil {
		return *c.Kubernetes
	}
	var k Kubernetes
	schema{}.setDefaults(reflect.ValueOf(&k).Elem())
	return k
}

// KubernetesService takes the target apart: "" for the namespace that [kubernetes] says.
func (t Target) KubernetesService() (namespace, service, port string) {
	name, port, _ := strings.Cut(t.Kubernetes, ":")
	if before, after, named := strings.Cut(name, "/"); named {
		return before, after, port
	}
	return "", name, port
}

// parseKubernetesTarget reads [NAMESPACE/]SERVICE:PORT.
func parseKubernetesTarget(text string) error {
	if strings.Contains(text, "://") {
		return errors.New("is a URL; write [NAMESPACE/]SERVICE:PORT")
	}
	namespace, service, port := Target{Kubernetes: text}.KubernetesService()
	switch {
	case !strings.Contains(text, ":"):
		return errors.New("has no port: write [NAMESPACE/]SERVICE:PORT, with the port's name or number")
	case strings.Contains(text, "/") && !isDNSLabel(namespace):
		return errors.New("has a namespace that is none: " + dnsLabelRule)
	case !isDNSLabel(service):
		if host, _, found := strings.Cut(service, "."); found && isDNSLabel(host) {
			return errors.New("has a name with dots; write [NAMESPACE/]SERVICE:PORT, or { dns = ... } for a name that is to be looked up")
		}
		return errors.New("has a service that is none: " + dnsLabelRule)
	case allDigits(port):
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return errors.New("has a port that is not a number from 1 to 65535")
		}
	case !isDNSLabel(port):
		return errors.New("has a port that is neither a number nor a name: " + dnsLabelRule)
	}
	return nil
}

const dnsLabelRule = `lower-case letters, digits and "-" within, at most 63`

// isDNSLabel holds names to RFC 1123 §2.1 labels, as Kubernetes writes them.
func isDNSLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// kubernetes checks [kubernetes]. Its files are not read: they are kubelet's, and where a configuration is checked there may be none.
func (c checker) kubernetes() {
	k := c.cfg.Kubernetes
	if k == nil {
		return
	}
	const server, ca, token, namespace = "kubernetes.server", "kubernetes.ca", "kubernetes.token_file", "kubernetes.namespace"
	plain := false
	if c.pos.has(server) && !c.bad(server) {
		u, err := url.Parse(k.Server)
		switch {
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			c.value(server, `server %s is no URL of an API server, as "https://10.0.0.1:6443"`, c.quote(server, k.Server))
		case u.Scheme == "http":
			plain = true
			if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback()) {
				c.value(server, "server %s: http:// is for this machine alone: over a network a token and its answers need https://", c.quote(server, k.Server))
			}
		}
		k.Server = strings.TrimRight(k.Server, "/")
	}
	if k.CA == "" && c.pos.has(ca) && !c.bad(ca) {
		c.value(ca, "ca is empty")
	}
	if plain && c.pos.has(ca) && !c.bad(ca) {
		c.value(ca, "ca has no use: server is not an https:// URL")
	}
	if plain && !c.pos.has(ca) {
		k.CA = ""
	}
	if plain && !c.pos.has(token) {
		k.TokenFile = "" // kubectl proxy has its own
	}
	for _, file := range []*string{&k.CA, &k.TokenFile} {
		if *file != "" {
			*file = c.files.path(*file)
		}
	}
	if c.pos.has(namespace) && !c.bad(namespace) && !isDNSLabel(k.Namespace) {
		c.value(namespace, "namespace %s: %s", c.quote(namespace, k.Namespace), dnsLabelRule)
	}
}
