package validate_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestKubernetesRollsOut: pods are replaced one by one, none before another is ready, over zones and nodes; deploy.sh's undo finds a version to go back to; a node is drained even where
// pods are not ready.
func TestKubernetesRollsOut(t *testing.T) {
	for _, env := range variants {
		c := overlay(t, env)
		for _, d := range c.deployments {
			s := d.Spec
			if r := s.Strategy.RollingUpdate; s.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || r == nil || r.MaxUnavailable.IntValue() != 0 || r.MaxSurge.IntValue() < 1 {
				t.Errorf("%s: %s: strategy %+v", env, d.Name, s.Strategy)
			}
			if s.RevisionHistoryLimit == nil || *s.RevisionHistoryLimit < 1 || s.ProgressDeadlineSeconds == nil {
				t.Errorf("%s: %s: history %v, deadline %v", env, d.Name, s.RevisionHistoryLimit, s.ProgressDeadlineSeconds)
			}
			var over []string
			for _, sp := range s.Template.Spec.TopologySpreadConstraints {
				if sp.MaxSkew != 1 || sp.WhenUnsatisfiable != corev1.ScheduleAnyway || !slices.Equal(sp.MatchLabelKeys, []string{"pod-template-hash"}) {
					t.Errorf("%s: %s: %+v", env, d.Name, sp)
				}
				over = append(over, sp.TopologyKey)
			}
			if !slices.Equal(over, []string{corev1.LabelTopologyZone, corev1.LabelHostname}) {
				t.Errorf("%s: %s is spread over %q", env, d.Name, over)
			}
		}
		for _, b := range c.budgets {
			if (b.Spec.MinAvailable == nil) == (b.Spec.MaxUnavailable == nil) || b.Spec.UnhealthyPodEvictionPolicy == nil || *b.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow {
				t.Errorf("%s: budget %s: %+v", env, b.Name, b.Spec)
			}
		}
		for _, h := range c.scalers {
			for _, m := range h.Spec.Metrics {
				of := m.Resource
				if of != nil && (m.Type != autoscalingv2.ResourceMetricSourceType || of.Target.Type != autoscalingv2.UtilizationMetricType || *of.Target.AverageUtilization < 50 || *of.Target.AverageUtilization > 90) ||
					of == nil && (m.Type != autoscalingv2.PodsMetricSourceType || m.Pods.Target.Type != autoscalingv2.AverageValueMetricType || m.Pods.Target.AverageValue.Sign() <= 0) {
					t.Errorf("%s: %s: metric %+v", env, h.Name, m)
				}
			}
			// A peak is followed at once, its end slowly.
			if up, down := h.Spec.Behavior.ScaleUp, h.Spec.Behavior.ScaleDown; *up.StabilizationWindowSeconds >= *down.StabilizationWindowSeconds || up.Policies[0].Value < 100 || down.Policies[0].Value > 50 ||
				up.Policies[0].Type != autoscalingv2.PercentScalingPolicy || down.Policies[0].Type != autoscalingv2.PercentScalingPolicy {
				t.Errorf("%s: %s: %+v %+v", env, h.Name, up, down)
			}
		}
	}
}

// TestKubernetesEntrance: clients reach the edge from outside and are seen by their own addresses, the admin address is for the cluster alone.
func TestKubernetesEntrance(t *testing.T) {
	for _, env := range variants {
		for _, s := range overlay(t, env).services {
			open := s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
			if open != (s.Name == "weir") || s.Spec.Type == corev1.ServiceTypeNodePort {
				t.Errorf("%s: Service %s: %s, %s", env, s.Name, s.Spec.Type, s.Spec.ExternalTrafficPolicy)
			}
		}
	}
}

// TestKubernetesAsks: liveness depends on nothing but the process, readiness says that it ends, a start may take a minute; and Services of the namespace are no variables of the API's.
func TestKubernetesAsks(t *testing.T) {
	live, ready := map[string]string{"weir": "/livez", "valor-api": "/api/health"}, map[string]string{"weir": "/readyz", "valor-api": "/api/readiness"}
	for _, env := range variants {
		for _, w := range overlay(t, env).workloads {
			main := w.pod.Spec.Containers[0]
			if links := w.pod.Spec.EnableServiceLinks; links == nil || *links {
				t.Errorf("%s: %s: VALOR_REDIS_PORT and the like are in its environment", env, w.name)
			}
			for _, p := range []*corev1.Probe{main.StartupProbe, main.LivenessProbe, main.ReadinessProbe} {
				if asks := strings.Join(probed(w, p), " "); asks != map[string]string{"postgres": "pg_isready -q -h 127.0.0.1 -U valor -d valor"}[main.Name] && main.Name != "redis" || asks == "nothing" { // Redis': TestShells
					t.Errorf("%s: %s is asked %s", env, w.name, asks)
				}
			}
			if p := main.StartupProbe; p.PeriodSeconds*p.FailureThreshold < 60 {
				t.Errorf("%s: %s may take %d times %d s to start", env, w.name, p.FailureThreshold, p.PeriodSeconds)
			}
			if w.kind != "Deployment" {
				continue
			}
			if main.LivenessProbe.HTTPGet.Path != live[main.Name] || main.ReadinessProbe.HTTPGet.Path != ready[main.Name] || main.LivenessProbe.FailureThreshold*main.LivenessProbe.PeriodSeconds < 20 {
				t.Errorf("%s: %s: live by %+v, ready by %+v", env, w.name, main.LivenessProbe, main.ReadinessProbe)
			}
		}
	}
}

// probed is the command that a probe runs; empty when it asks a port that the pod has.
func probed(w workload, p *corev1.Probe) []string {
	switch {
	case p.Exec != nil && p.HTTPGet == nil && p.TCPSocket == nil:
		return p.Exec.Command
	case p.HTTPGet != nil && p.TCPSocket == nil && w.port(p.HTTPGet.Port, corev1.ProtocolTCP), p.TCPSocket != nil && p.HTTPGet == nil && w.port(p.TCPSocket.Port, corev1.ProtocolTCP):
		return nil
	}
	return []string{"nothing"}
}

// TestKubernetesNumbers: what has to fit together does: the time that the edge needs to see that a pod ends and the time that the pod gives it, the connections of all pods and those of the
// database, Redis' memory and its limit.
func TestKubernetesNumbers(t *testing.T) {
	for _, env := range overlays {
		c := overlay(t, env)
		connections := 0
		for _, d := range c.deployments {
			main := d.Spec.Template.Spec.Containers[0]
			if main.Name != "valor-api" {
				continue
			}
			checkNotice(t, edgeConfig(c), variable(main, "VALOR_DRAIN_DELAY"))
			each, err := strconv.Atoi(variable(main, "VALOR_DATABASE_CONNECTIONS"))
			i := slices.IndexFunc(c.scalers, func(h autoscalingv2.HorizontalPodAutoscaler) bool { return h.Name == d.Name })
			if err != nil || i < 0 {
				t.Fatal(err, d.Name)
			}
			connections += each * (int(c.scalers[i].Spec.MaxReplicas) + d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
			user, database, ssl := "valor", "valor", "verify-full"
			for _, s := range c.stateful {
				if postgres := s.Spec.Template.Spec.Containers[0]; postgres.Name == "postgres" {
					user, database, ssl = variable(postgres, "POSTGRES_USER"), variable(postgres, "POSTGRES_DB"), "disable" // policies let nobody but the API there
					if !strings.Contains(variable(postgres, "POSTGRES_INITDB_ARGS"), "--auth-host=scram-sha-256 --auth-local=scram-sha-256 ") || !strings.HasPrefix(variable(postgres, "PGDATA"), "/var/lib/postgresql/data/") {
						t.Errorf("%+v", postgres.Env)
					}
					checkSettings(t, postgres.Args)
				}
			}
			checkDatabase(t, variable(main, "VALOR_DATABASE"), user, database)
			if !strings.HasSuffix(variable(main, "VALOR_DATABASE"), "?sslmode="+ssl) || variable(main, "VALOR_ENV") != "production" {
				t.Errorf("%s: %s: %+v", env, d.Name, main.Env)
			}
		}
		bare := func(conf string) string {
			return regexp.MustCompile(`(?m)^#.*\n|^include .*\n`).ReplaceAllString(read(t, "configs/deploy/"+conf), "")
		}
		if bare("kubernetes/components/demo-data/redis.conf") != bare("compose/redis.conf") { // which TestComposeRedis tries
			t.Error("Redis of Kubernetes is another than that of compose")
		}
		if most := maxConnections(t, env, c); most < connections+10 { // and those of administrators
			t.Errorf("%s: pods take %d of %d connections", env, connections, most)
		}
		for _, s := range c.stateful {
			main := s.Spec.Template.Spec.Containers[0]
			data := main.VolumeMounts[slices.IndexFunc(main.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == "data" })].MountPath
			if main.Args[0] != map[string]string{"postgres": "postgres", "redis": "valkey-server"}[main.Name] || data != map[string]string{"postgres": "/var/lib/postgresql/data", "redis": "/data"}[main.Name] {
				t.Errorf("%s: %s: %q with its data at %s", env, s.Name, main.Args, data)
			}
			if len(s.Spec.VolumeClaimTemplates) != 1 || main.Name == "redis" && main.Resources.Limits.Memory().Cmp(resource.MustParse(strconv.Itoa(2*megabytes(t, read(t, "configs/deploy/kubernetes/components/demo-data/redis.conf")))+"Mi")) < 0 {
				t.Errorf("%s: %s: %+v, %v", env, s.Name, s.Spec.VolumeClaimTemplates, main.Resources.Limits)
			}
		}
	}
}

// maxConnections is what the database takes: the demo's server, or the example for production.
func maxConnections(t *testing.T, env string, c *cluster) int {
	t.Helper()
	text := ""
	for _, s := range c.stateful {
		text += strings.Join(s.Spec.Template.Spec.Containers[0].Args, " ")
	}
	if env == "production" {
		text = "max_connections=" + examples(t)["postgresql.cnpg.io/v1 Cluster"].Spec.Postgresql.Parameters["max_connections"]
	}
	m := regexp.MustCompile(`max_connections=(\d+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s: no max_connections in %s", env, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkNotice: the edge has found out that a target is not ready, at the slowest, before that one closes its door.
func checkNotice(t *testing.T, config, delay string) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^health = \{ path = "/api/readiness", interval = "(\w+)", timeout = "(\w+)", rise = \d+, fall = (\d+) \}`).FindStringSubmatch(config)
	if m == nil {
		t.Fatal("no health check")
	}
	given, err := time.ParseDuration(delay)
	if err != nil {
		t.Fatal(err)
	}
	var needed time.Duration
	for _, text := range m[1:3] {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		needed += d
	}
	fall, err := strconv.Atoi(m[3])
	if err != nil || time.Duration(fall)*needed >= given {
		t.Errorf("%d times %v to see what is said for %v (%v)", fall, needed, given, err)
	}
}
