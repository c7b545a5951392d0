package validate_test

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestKubernetesIsHardened: every container runs as a user that is not root, without capabilities, on a file system it cannot write to, under seccomp, without the API's
// token, within limits, from an exact image: what the profile "restricted" wants and more.
func TestKubernetesIsHardened(t *testing.T) {
	for _, env := range variants {
		for _, w := range overlay(t, env).workloads {
			pod := w.pod.Spec
			fail := func(format string, args ...any) { t.Helper(); t.Errorf(env+": "+w.name+": "+format, args...) }
			s := pod.SecurityContext
			if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.RunAsUser == nil || *s.RunAsUser == 0 || s.FSGroup == nil || s.SeccompProfile == nil ||
				s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				fail("security context %+v", s)
			}
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.HostNetwork || pod.HostPID || pod.HostIPC {
				fail("has the token of the API, or a namespace of the host")
			}
			for _, c := range append(slices.Clone(pod.InitContainers), pod.Containers...) {
				s := c.SecurityContext
				if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem ||
					s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 || s.Privileged != nil {
					fail("%s: security context %+v", c.Name, s)
				}
				if !exact.MatchString(c.Image) || c.ImagePullPolicy != corev1.PullIfNotPresent {
					fail("%s: image %s, pulled %s", c.Name, c.Image, c.ImagePullPolicy)
				}
				for _, list := range []corev1.ResourceList{c.Resources.Limits, c.Resources.Requests} {
					if list.Cpu().IsZero() || list.Memory().IsZero() {
						fail("%s: resources %+v", c.Name, c.Resources)
					}
				}
			}
			main := pod.Containers[0]
			if main.Resources.Requests.Memory().Cmp(resource.MustParse("512Mi")) != 0 || main.Resources.Limits.Memory().Cmp(resource.MustParse("1Gi")) != 0 {
				fail("memory %v to %v", main.Resources.Requests.Memory(), main.Resources.Limits.Memory())
			}
			if main.StartupProbe == nil || main.LivenessProbe == nil || main.ReadinessProbe == nil {
				fail("startup, liveness or readiness is not asked for")
			}
			for _, v := range pod.Volumes {
				if v.HostPath != nil {
					fail("mounts %s of the node", v.HostPath.Path)
				}
				if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
					fail("%s has no bound", v.Name)
				}
			}
		}
	}
}

// TestKubernetesDrains: pods are given the time that their ends take, and say first that they end.
func TestKubernetesDrains(t *testing.T) {
	for _, env := range variants {
		for _, w := range overlay(t, env).workloads {
			main, grace := w.pod.Spec.Containers[0], int64(0)
			if g := w.pod.Spec.TerminationGracePeriodSeconds; g != nil {
				grace = *g
			}
			switch main.Name {
			case "weir":
				i := slices.Index(main.Args, "--drain-timeout")
				drain, err := strconv.Atoi(strings.TrimSuffix(main.Args[i+1], "s"))
				if err != nil || main.Lifecycle == nil || main.Lifecycle.PreStop.Sleep == nil || grace < main.Lifecycle.PreStop.Sleep.Seconds+int64(drain)+5 {
					t.Errorf("%s: %v, %+v, %d s", env, main.Args, main.Lifecycle, grace)
				}
			case "valor-api":
				delay, err := strconv.Atoi(strings.TrimSuffix(variable(main, "VALOR_DRAIN_DELAY"), "s"))
				// The edge needs two answers, a second apart and a second long, to know; requests under way have ten seconds more.
				if err != nil || delay < 4 || grace < int64(delay)+10+5 {
					t.Errorf("%s: %s: drain delay %d, %v, %d s", env, w.name, delay, err, grace)
				}
			}
		}
	}
}

func variable(c corev1.Container, name string) string {
	for _, v := range c.Env {
		if v.Name == name {
			return v.Value
		}
	}
	return ""
}

// TestKubernetesMounts: volumes come from what is there (configuration by the overlay, secrets by secrets.sh or cert-manager), every mount has its volume and the reverse,
// folders are mounted and not single files, which would never change, and what the programs are told to read is in them.
func TestKubernetesMounts(t *testing.T) {
	kept := secretKeys(t)
	kept["weir-tls"] = []string{"tls.crt", "tls.key"}
	for _, env := range variants {
		c := overlay(t, env)
		for _, w := range c.workloads {
			fail := func(format string, args ...any) { t.Helper(); t.Errorf(env+": "+w.name+": "+format, args...) }
			sources := map[string][]string{} // files by volume; nil: not known
			for _, v := range w.pod.Spec.Volumes {
				switch {
				case v.Secret != nil:
					sources[v.Name] = kept[v.Secret.SecretName]
					if len(kept[v.Secret.SecretName]) == 0 || v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440 {
						fail("nobody makes the Secret %s, or its mode is wrong", v.Secret.SecretName)
					}
				case v.ConfigMap != nil:
					for _, m := range c.configs {
						if m.Name == v.ConfigMap.Name {
							for name := range m.Data {
								sources[v.Name] = append(sources[v.Name], name)
							}
						}
					}
					if len(sources[v.Name]) == 0 {
						fail("no ConfigMap %s", v.ConfigMap.Name)
					}
				case v.Projected != nil:
					for _, p := range v.Projected.Sources {
						if p.ServiceAccountToken != nil {
							sources[v.Name] = append(sources[v.Name], p.ServiceAccountToken.Path)
						}
					}
				default:
					sources[v.Name] = nil
				}
			}
			mounted, there := map[string]bool{}, map[string]bool{}
			for _, container := range append(slices.Clone(w.pod.Spec.InitContainers), w.pod.Spec.Containers...) {
				for _, m := range container.VolumeMounts {
					list, known := sources[m.Name]
					if claims := w.kind == "StatefulSet" && m.Name == "data"; !known && !claims || m.SubPath != "" {
						fail("%s mounts %+v", container.Name, m)
					}
					mounted[m.Name] = true
					if list != nil && !m.ReadOnly {
						fail("%s may write %s", container.Name, m.Name)
					}
					for _, file := range list {
						there[path.Join(m.MountPath, file)] = true
					}
				}
			}
			for name := range sources {
				if !mounted[name] {
					fail("nothing mounts %s", name)
				}
			}
			for _, file := range toldToRead(c, w) {
				if !there[file] {
					fail("reads %s, which is not mounted: %v", file, there)
				}
			}
		}
	}
}

// toldToRead are the files that a pod's environment, arguments, probes and configuration name.
func toldToRead(c *cluster, w workload) (list []string) {
	main := w.pod.Spec.Containers[0]
	texts := slices.Concat(main.Command, main.Args)
	for _, v := range main.Env {
		texts = append(texts, v.Value)
	}
	if p := main.ReadinessProbe.Exec; p != nil {
		texts = append(texts, p.Command...)
	}
	for _, m := range c.configs {
		if slices.ContainsFunc(w.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.ConfigMap != nil && v.ConfigMap.Name == m.Name }) {
			for _, text := range m.Data {
				texts = append(texts, text)
			}
		}
	}
	for _, text := range texts {
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" {}:=@\"'()\n", r) }) {
				if strings.HasPrefix(word, "/run/secrets/") || strings.HasPrefix(word, "/etc/") {
					list = append(list, word)
				}
			}
		}
	}
	return list
}
