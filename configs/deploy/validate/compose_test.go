package validate_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const composeDir = "../compose"

// stack is what we use of a compose file. A key that is not here is a mistake, or needs a thought and a check.
type stack struct {
	Name     string
	Services map[string]*service
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]struct{}
	Anchors  map[string]yaml.Node `yaml:",inline"`
}

type service struct {
	Image       string
	Build       struct{ Context, Target string }
	User        string
	Profiles    []string
	Entrypoint  []string
	Command     []string
	Environment map[string]string
	Ports       []string
	Networks    []string
	NetworkMode string `yaml:"network_mode"`
	Volumes     []mount
	Tmpfs       []string
	ShmSize     string   `yaml:"shm_size"`
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	CapAdd      []string `yaml:"cap_add"`
	SecurityOpt []string `yaml:"security_opt"`
	Sysctls     map[string]string
	Ulimits     map[string]struct{ Soft, Hard int }
	Restart     string
	StopGrace   string `yaml:"stop_grace_period"`
	Pid         string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck *struct {
		Test              []string
		Interval, Timeout string
		StartPeriod       string `yaml:"start_period"`
		Retries           int
	}
	Deploy struct {
		Resources struct{ Limits, Reservations struct{ Cpus, Memory string } }
	}
	Logging struct {
		Driver  string
		Options map[string]string
	}
}

type mount struct {
	Type, Source, Target string
	ReadOnly             bool `yaml:"read_only"`
	Bind                 struct{ Propagation string }
}

// compose reads compose.yaml as it is with .env.example beside it.
func compose(t *testing.T) *stack {
	t.Helper()
	env := environment(t)
	used := map[string]bool{}
	text := regexp.MustCompile(`\$\$|\$\{[^}]*\}|\$\w+`).ReplaceAllStringFunc(read(t, "configs/deploy/compose/compose.yaml"), func(ref string) string {
		if ref == "$$" {
			return "$"
		}
		name, _, required := strings.Cut(strings.Trim(ref, "${}"), ":?")
		used[name] = true
		if env[name] == "" || !required {
			t.Errorf("%s: want a ${NAME:?why} with a value in .env.example", ref)
		}
		return env[name]
	})
	for name := range env {
		if !used[name] {
			t.Errorf(".env.example: nothing uses %s", name)
		}
	}
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	s := new(stack)
	if err := d.Decode(s); err != nil {
		t.Fatal(err)
	}
	for name := range s.Anchors {
		if !strings.HasPrefix(name, "x-") {
			t.Errorf("%s is not a key of compose files", name)
		}
	}
	return s
}

// environment is what a fresh clone has: .env.example.
func environment(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for line := range strings.Lines(read(t, "configs/deploy/compose/.env.example")) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(line, "#") {
			env[name] = value
		}
	}
	return env
}

// once says that a service ends when it has done its work.
func (s *service) once() bool { return s.Restart == "no" }

// TestComposeIsHardened: no service runs as root with what root can do, writes where it need not, takes all memory, or fills the disk with its log.
func TestComposeIsHardened(t *testing.T) {
	for name, s := range compose(t).Services {
		fail := func(format string, args ...any) { t.Helper(); t.Errorf(name+": "+format, args...) }
		ownWay := name == "elasticsearch" || name == "kibana" // they write beside their configuration
		if s.ReadOnly == ownWay || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			fail("read_only %v, cap_drop %v, security_opt %v", s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		uid, gid, _ := strings.Cut(s.User, ":")
		if _, err := strconv.Atoi(uid + gid); err != nil {
			fail("user %q: want numbers", s.User)
		}
		// What makes the secrets gives them to their owners, and can do nothing else, nor talk to anybody. Filebeat reads what containers of root wrote.
		may := map[string][]string{"secrets": {"CHOWN"}, "filebeat": {"DAC_READ_SEARCH"}}[name]
		if root := uid == "0"; root != (may != nil) || !slices.Equal(s.CapAdd, may) || name == "secrets" && s.NetworkMode != "none" || s.Pid != "" && name != "node-exporter" {
			fail("user %s, cap_add %v, pid %s", s.User, s.CapAdd, s.Pid)
		}
		if s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			fail("its log is without bounds")
		}
		limits, reserved := s.Deploy.Resources.Limits, s.Deploy.Resources.Reservations
		if limits.Cpus == "" || bytesOf(t, limits.Memory) < bytesOf(t, reserved.Memory) || bytesOf(t, limits.Memory) == 0 {
			fail("limits %+v, reservations %+v", limits, reserved)
		}
		for _, m := range s.Volumes {
			if m.Type == "bind" && !m.ReadOnly {
				fail("may write %s of the host", m.Source)
			}
			if strings.Contains(m.Source, "docker.sock") {
				fail("who has docker.sock has the machine")
			}
			if strings.HasPrefix(m.Target, "/run/secrets") && !m.ReadOnly {
				fail("may write its secrets")
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)(password|secret|token|_key)$`).MatchString(key) && !strings.HasPrefix(value, "${file:") {
				fail("%s is a secret in the environment", key)
			}
			if regexp.MustCompile(`://[^/@]*:[^/@$]+@`).MatchString(value) {
				fail("%s has a password in it", key)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") && name != "edge" {
				fail("%s is open to the network", p)
			}
		}
	}
}

func bytesOf(t *testing.T, size string) int {
	t.Helper()
	if size == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimRight(size, "MG"))
	if err != nil {
		t.Errorf("size %q", size)
	}
	if strings.HasSuffix(size, "G") {
		n *= 1024
	}
	return n
}

// TestComposeHoldsTogether: what a service names is there: volumes, files, networks, services that it waits for and that can become what it waits for.
func TestComposeHoldsTogether(t *testing.T) {
	c := compose(t)
	used := map[string]bool{}
	stages := regexp.MustCompile(`(?m)^FROM \S+ AS (\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	for name, s := range c.Services {
		fail := func(format string, args ...any) { t.Helper(); t.Errorf(name+": "+format, args...) }
		for _, m := range s.Volumes {
			switch _, known := c.Volumes[m.Source]; {
			case m.Type == "volume" && known:
				used["volume "+m.Source] = true
			case m.Type == "bind" && (strings.HasPrefix(m.Source, "./") || strings.HasPrefix(m.Source, "../")):
				if _, err := os.Stat(filepath.Join(composeDir, m.Source)); err != nil {
					fail("%v", err)
				}
			case m.Type == "bind" && m.Source == "/" && name == "node-exporter", m.Source == "/var/lib/docker/containers" && name == "filebeat":
			default:
				fail("volume %+v", m)
			}
		}
		if e := s.Entrypoint; len(e) > 0 && (e[0] != "/bin/sh" || e[1] != "-c" && !exists(s.host(e[1]))) {
			fail("entrypoint %q", e)
		}
		for _, word := range s.Command { // a path is mounted
			if _, file, _ := strings.Cut("="+word, "=/"); file != "" && !slices.ContainsFunc(s.Volumes, func(m mount) bool { return strings.HasPrefix("/"+file+"/", m.Target+"/") && len(m.Target) > 1 }) {
				fail("%s: nothing is mounted there", word)
			}
		}
		if (s.NetworkMode == "none") == (len(s.Networks) > 0) {
			fail("networks %v, network_mode %q", s.Networks, s.NetworkMode)
		}
		for _, n := range s.Networks {
			if _, known := c.Networks[n]; !known {
				fail("network %s is not there", n)
			}
			used["network "+n] = true
		}
		for on, how := range s.DependsOn {
			other := c.Services[on]
			if other == nil {
				fail("waits for %s, which is not there", on)
				continue
			}
			if other.once() != (how.Condition == "service_completed_successfully") || !other.once() && (how.Condition != "service_healthy" || !healthy(t, other)) {
				fail("waits for %s until %s", on, how.Condition)
			}
			for _, profile := range other.Profiles {
				if !slices.Contains(s.Profiles, profile) {
					fail("waits for %s, which starts with the profile %s only", on, profile)
				}
			}
		}
		if !s.once() && !healthy(t, s) {
			fail("has no health check")
		}
		local := strings.HasSuffix(s.Image, ":local")
		if !local && (s.Build.Target != "" || !regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-\w+)?$`).MatchString(s.Image)) {
			fail("image %s: want an exact version", s.Image)
		}
		if local && (s.User != "65532:65532" || s.Build.Context != "../../.." || !slices.ContainsFunc(stages, func(m []string) bool { return m[1] == s.Build.Target }) || s.Image != s.Build.Target+":local") {
			fail("image %s of %+v", s.Image, s.Build)
		}
	}
	for name := range c.Volumes {
		if !used["volume "+name] {
			t.Errorf("nothing uses the volume %s", name)
		}
	}
	for name := range c.Networks {
		if !used["network "+name] {
			t.Errorf("nothing uses the network %s", name)
		}
	}
}

// TestImages: of each image of others there is one version, in compose and in Kubernetes, and Elastic's go together.
func TestImages(t *testing.T) {
	tags := map[string]string{}
	use := func(image string) {
		name, tag, _ := strings.Cut(image, ":")
		if strings.HasPrefix(name, "docker.elastic.co/") {
			tags[name] = tags["docker.elastic.co/elasticsearch/elasticsearch"]
		}
		if other := tags[name]; other != "" && other != tag {
			t.Errorf("%s is also there as %s", image, other)
		}
		tags[name] = tag
	}
	c := compose(t)
	use(c.Services["elasticsearch"].Image)
	for _, s := range c.Services {
		if s.Build.Target == "" {
			use(s.Image)
		}
	}
	for _, w := range overlay(t, "staging").workloads {
		if w.kind == "StatefulSet" {
			use(w.pod.Spec.Containers[0].Image)
		}
	}
	if got, want := slices.Sorted(maps.Keys(tags)), strings.Fields("docker.elastic.co/beats/filebeat docker.elastic.co/elasticsearch/elasticsearch docker.elastic.co/kibana/kibana grafana/grafana "+
		"oliver006/redis_exporter postgres prom/alertmanager prom/node-exporter prom/prometheus valkey/valkey"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// healthy says whether a service can become healthy: by a check here, or by that of our images.
func healthy(t *testing.T, s *service) bool {
	t.Helper()
	if s.Build.Target != "" {
		_, stage, _ := strings.Cut(read(t, "Dockerfile"), " AS "+s.Build.Target+"\n")
		stage, _, _ = strings.Cut(stage, "\nFROM ")
		return strings.Contains(stage, "\nHEALTHCHECK ")
	}
	return s.Healthcheck != nil && len(s.Healthcheck.Test) > 1 && s.Healthcheck.Interval != "" && s.Healthcheck.Timeout != "" && s.Healthcheck.Retries > 0
}

// TestComposeNumbers: connections to the database are enough for both colours, one more of each during a deploy, and the exporter; who stops is told so in time.
func TestComposeNumbers(t *testing.T) {
	c := compose(t)
	each, err := strconv.Atoi(c.Services["blue"].Environment["VALOR_DATABASE_CONNECTIONS"])
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Services["postgres"].Command, func(w string) bool { return strings.HasPrefix(w, "max_connections=") })
	most, err := strconv.Atoi(strings.TrimPrefix(c.Services["postgres"].Command[i], "max_connections="))
	if err != nil || most < 4*each+10 {
		t.Errorf("%d connections, %v: each colour takes %d", most, err, each)
	}
	edge := c.Services["edge"]
	if !slices.Equal(edge.Ports, []string{"127.0.0.1:80:80", "127.0.0.1:443:443", "127.0.0.1:443:443/udp", "127.0.0.1:9180:9180"}) || edge.Sysctls["net.ipv4.ip_unprivileged_port_start"] != "0" {
		t.Errorf("ports %v, sysctls %v", edge.Ports, edge.Sysctls)
	}
	for name, least := range map[string]string{"edge": "35s", "blue": "30s", "green": "30s"} {
		if got := c.Services[name].StopGrace; got != least {
			t.Errorf("%s is killed after %s", name, got)
		}
	}
	checkNotice(t, read(t, "configs/deploy/compose/edge/weir.toml"), c.Services["blue"].Environment["VALOR_DRAIN_DELAY"])
	// The two colours are the same but for their names.
	blue, green := c.Services["blue"], c.Services["green"]
	if blue.Environment["VALOR_COLOR"] != "blue" || green.Environment["VALOR_COLOR"] != "green" || len(blue.Environment) != len(green.Environment) {
		t.Errorf("blue %v, green %v", blue.Environment, green.Environment)
	}
}

// TestComposeMonitoring: Prometheus scrapes services that are there, at networks where it can reach them, and what the programs of others are told to read is mounted.
func TestComposeMonitoring(t *testing.T) {
	c := compose(t)
	files, err := filepath.Glob(filepath.Join(monitoring, "targets/*.yml"))
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		var groups []struct{ Targets []string }
		text, err := os.ReadFile(file)
		if err != nil || yaml.Unmarshal(text, &groups) != nil {
			t.Fatal(file, err)
		}
		for _, g := range groups {
			for _, target := range g.Targets {
				name, _, _ := strings.Cut(target, ":")
				if s := c.Services[name]; name != "localhost" && (s == nil || !slices.ContainsFunc(s.Networks, func(n string) bool { return slices.Contains(c.Services["prometheus"].Networks, n) })) {
					t.Errorf("%s: Prometheus does not reach %s", filepath.Base(file), target)
				}
			}
		}
	}
	for name, read := range map[string][]string{
		"prometheus":   {"/etc/prometheus/prometheus.yml", "/etc/prometheus/rules/slo.yml", "/etc/prometheus/targets/weir.yml"},
		"alertmanager": {"/etc/alertmanager/alertmanager.yml"},
		"grafana":      {"/etc/grafana/provisioning/dashboards/weir.yml", "/etc/grafana/provisioning/datasources/weir.yml", "/var/lib/grafana/dashboards/weir-edge.json"},
		"filebeat":     {"/usr/share/filebeat/filebeat.yml", "/usr/share/filebeat/weir-logs.json"},
		"redis":        {"/etc/redis.conf"}, "secrets": {"/secrets.sh"}, "elasticsearch-users": {"/users.sh"}, "edge": {"/etc/weir/weir.toml"},
	} {
		for _, file := range read {
			if _, err := os.Stat(c.Services[name].host(file)); err != nil {
				t.Errorf("%s: %s: %v", name, file, err)
			}
		}
	}
	// The paths are those that they are told, or that their own files name.
	if text := strings.Join(append(c.Services["prometheus"].Command, c.Services["alertmanager"].Command...), " "); !strings.Contains(text, "=/etc/prometheus/prometheus.yml") ||
		!strings.Contains(text, "=/etc/alertmanager/alertmanager.yml") || !strings.Contains(text, "retention.time=35d") {
		t.Error(text)
	}
	for file, want := range map[string]string{"prometheus.yml": "/run/secrets/admin_token", "filebeat/filebeat.yml": "path: /usr/share/filebeat/weir-logs.json",
		"grafana/provisioning/dashboards/weir.yml": "path: /var/lib/grafana/dashboards", "grafana/provisioning/datasources/weir.yml": "http://prometheus:9090"} {
		if !strings.Contains(read(t, "configs/deploy/monitoring/"+file), want) {
			t.Errorf("%s does not say %s", file, want)
		}
	}
}

// host is where a file of a container is on the machine; "" where nothing is mounted.
func (s *service) host(file string) string {
	for _, m := range s.Volumes {
		if rest, ok := strings.CutPrefix(file, m.Target); ok && m.Type == "bind" && (rest == "" || rest[0] == '/') {
			return filepath.Join(composeDir, m.Source, rest)
		}
	}
	return ""
}
