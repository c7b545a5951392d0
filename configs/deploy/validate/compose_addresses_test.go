package validate_test

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// opens are the ports of a service: our programs' by what they are told, those of other images as their makers chose them.
func (c *stack) opens(t *testing.T, name string) []string {
	t.Helper()
	switch s := c.Services[name]; s.Build.Target {
	case "weir":
		return listens(read(t, "configs/deploy/compose/edge/weir.toml"))
	case "valor-api":
		return []string{strings.TrimPrefix(s.Environment["VALOR_ADDRESS"], ":") + "/TCP"}
	}
	return []string{map[string]string{"postgres": "5432", "redis": "6379", "prometheus": "9090", "alertmanager": "9093", "redis-exporter": "9121", "node-exporter": "9100", "grafana": "3000",
		"elasticsearch": "9200", "kibana": "5601"}[name] + "/TCP"}
}

// reads are the files, below configs/deploy, in which a service finds whom it calls and which secrets it reads.
var reads = map[string][]string{
	"edge": {"compose/edge/weir.toml"}, "redis": {"compose/redis.conf"}, "grafana": {"monitoring/grafana/provisioning/datasources/weir.yml"}, "filebeat": {"monitoring/filebeat/filebeat.yml"}, "elasticsearch-users": {"compose/users.sh"},
	"prometheus": {"monitoring/prometheus.yml", "monitoring/targets/alertmanager.yml", "monitoring/targets/node.yml", "monitoring/targets/prometheus.yml", "monitoring/targets/redis.yml", "monitoring/targets/valor-api.yml", "monitoring/targets/weir.yml"},
}

// told is all that a service is told, a line each: by its environment, its command, its health check and the files that it reads.
func (s *service) told(t *testing.T, name string) string {
	t.Helper()
	texts := slices.Concat(values(s.Environment), s.Command, s.Entrypoint)
	for _, file := range reads[name] {
		texts = append(texts, read(t, "configs/deploy/"+file))
	}
	if s.Healthcheck != nil {
		texts = append(texts, s.Healthcheck.Test...)
	}
	return strings.Join(texts, "\n")
}

// TestComposeAddresses: whoever a service calls is there, listens at that port, is in a network with it, and is waited for by those that call at their start; health checks and published
// ports are those of the program; networks over which nothing is encrypted do not leave the machine.
func TestComposeAddresses(t *testing.T) {
	c := compose(t)
	var calls []string
	for name, s := range c.Services {
		for _, a := range addressed(s.told(t, name)) {
			host, port := a[0], a[1]+"/TCP"
			if host == "127.0.0.1" || host == "localhost" {
				if !slices.Contains(c.opens(t, name), port) {
					t.Errorf("%s asks itself at %s", name, port)
				}
				continue
			}
			call := name + " " + host + ":" + a[1]
			calls = append(calls, call)
			other := c.Services[host]
			if other == nil {
				continue // the list below knows
			}
			if !slices.Contains(c.opens(t, host), port) || !slices.ContainsFunc(s.Networks, func(n string) bool { return slices.Contains(other.Networks, n) }) {
				t.Errorf("%s: %s listens at %q, networks %q and %q", call, host, c.opens(t, host), s.Networks, other.Networks)
			}
			if name != "prometheus" && !c.waits(name, host) { // which asks again and again
				t.Errorf("%s: does not wait for it", call)
			}
		}
		for _, p := range s.Ports {
			part := strings.Split(strings.TrimSuffix(p, "/udp"), ":")
			protocol := map[bool]string{true: "/UDP", false: "/TCP"}[strings.HasSuffix(p, "/udp")]
			if len(part) != 3 || part[1] != part[2] || !slices.Contains(c.opens(t, name), part[2]+protocol) {
				t.Errorf("%s: port %s of %q", name, p, c.opens(t, name))
			}
			if !slices.ContainsFunc(s.Networks, func(n string) bool { return !c.Networks[n].Internal }) {
				t.Errorf("%s: port %s cannot be reached from outside of %q", name, p, s.Networks)
			}
		}
	}
	slices.Sort(calls)
	want := strings.Split("blue postgres:5432,blue redis:6379,edge blue:5002,edge green:5002,edge redis:6379,elasticsearch-users elasticsearch:9200,filebeat elasticsearch:9200,"+
		"grafana loki:3100,grafana prometheus:9090,green postgres:5432,green redis:6379,kibana elasticsearch:9200,prometheus alertmanager:9093,prometheus blue:5002,prometheus edge:9180,"+
		"prometheus green:5002,prometheus node-exporter:9100,prometheus redis-exporter:9121,redis-exporter redis:6379", ",")
	if !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	for name, n := range c.Networks {
		if n.Internal != (name != "public" && name != "monitoring") {
			t.Errorf("network %s is internal: %v", name, n.Internal)
		}
	}
}

// waits says whether a service starts after another, or after one that does.
func (c *stack) waits(name, other string) bool {
	for on := range c.Services[name].DependsOn {
		if on == other || c.waits(on, other) {
			return true
		}
	}
	return false
}

// TestComposeWaitsForWhatItReads: what a service that runs once writes into a volume is there before others look.
func TestComposeWaitsForWhatItReads(t *testing.T) {
	c := compose(t)
	for writer, w := range c.Services {
		for _, m := range w.Volumes {
			if !w.once() || m.Type != "volume" || m.ReadOnly {
				continue
			}
			for name, s := range c.Services {
				if name != writer && slices.ContainsFunc(s.Volumes, func(have mount) bool { return have.Source == m.Source && have.Type == "volume" }) && !c.waits(name, writer) {
					t.Errorf("%s reads %s and does not wait for %s", name, m.Source, writer)
				}
			}
		}
	}
}

// TestComposeDatabase: the API calls the database that the server makes, as the user that it makes, and so does the health check.
func TestComposeDatabase(t *testing.T) {
	c := compose(t)
	env := c.Services["postgres"].Environment
	for _, color := range []string{"blue", "green"} {
		checkDatabase(t, c.Services[color].Environment["VALOR_DATABASE"], env["POSTGRES_USER"], env["POSTGRES_DB"])
	}
	if check := strings.Join(c.Services["postgres"].Healthcheck.Test, " "); !strings.HasSuffix(check, " -h 127.0.0.1 -U "+env["POSTGRES_USER"]+" -d "+env["POSTGRES_DB"]) {
		t.Error(check)
	}
	checkSettings(t, c.Services["postgres"].Command)
	uid, gid, _ := strings.Cut(c.Services["postgres"].User, ":")
	if !slices.Equal(c.Services["postgres"].Tmpfs, []string{"/tmp", "/var/run/postgresql:uid=" + uid + ",gid=" + gid}) {
		t.Errorf("its folders to write to: %q", c.Services["postgres"].Tmpfs)
	}
	if !strings.Contains(env["POSTGRES_INITDB_ARGS"], "--auth-host=scram-sha-256 --auth-local=scram-sha-256 ") {
		t.Errorf("%s: without a password", env["POSTGRES_INITDB_ARGS"])
	}
	// A rewrite of the append-only file may need as much again.
	redis := c.Services["redis"]
	if most := megabytes(t, read(t, "configs/deploy/compose/redis.conf")); 2*most > bytesOf(t, redis.Deploy.Resources.Limits.Memory) {
		t.Errorf("maxmemory %d MB of %s", most, redis.Deploy.Resources.Limits.Memory)
	}
}

// checkDatabase holds VALOR_DATABASE to what there is.
func checkDatabase(t *testing.T, text, user, database string) {
	t.Helper()
	u, err := url.Parse(regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAllString(text, "secret"))
	if err != nil || user == "" || u.User.Username() != user || u.Path != "/"+database {
		t.Errorf("%s: there is the database %q of %q (%v)", text, database, user, err)
	}
}

// checkSettings holds PostgreSQL's command line to its shape: settings, each behind its own -c.
func checkSettings(t *testing.T, command []string) {
	t.Helper()
	if rest := strings.Join(command, " ") + " "; !regexp.MustCompile(`^postgres (-c [a-z_]+=\w+ )+$`).MatchString(rest) {
		t.Errorf("%q", command)
	}
}

// megabytes is maxmemory of a redis.conf.
func megabytes(t *testing.T, conf string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^maxmemory (\d+)mb$`).FindStringSubmatch(conf)
	if m == nil {
		t.Fatal("no maxmemory")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}
