package server

import (
	"net"
	"os"
	"path/filepath"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/upstream"
	"github.com/valor-ivx/weir/upstream/kubernetes"
)

// kubernetesOf is how the API server is reached that the file or, in a pod, the environment names, and the namespace that the file gives Services without one. The environment of a process does not change.
func kubernetesOf(cfg *configs.Config) kubernetes.Service {
	k := cfg.KubernetesAPI()
	api := kubernetes.API{Server: k.Server, CA: k.CA, Token: k.TokenFile}
	if host := os.Getenv("KUBERNETES_SERVICE_HOST"); api.Server == "" && host != "" {
		api.Server = "https://" + net.JoinHostPort(host, os.Getenv("KUBERNETES_SERVICE_PORT"))
	}
	if k.TokenFile != "" {
		api.Namespace = filepath.Join(filepath.Dir(k.TokenFile), "namespace")
	}
	return kubernetes.Service{API: api, Namespace: k.Namespace}
}

// target is one of the file's, in the registry's terms. of says what Services have in common.
func target(t configs.Target, of kubernetes.Service) upstream.Target {
	o := upstream.Target{Address: t.Address, DNS: t.DNS, SRV: t.SRV, Weight: float64(t.Weight)}
	if t.Kubernetes != "" {
		o.Service = of
		namespace, name, port := t.KubernetesService()
		if o.Service.Name, o.Service.Port = name, port; namespace != "" {
			o.Service.Namespace = namespace
		}
	}
	return o
}
