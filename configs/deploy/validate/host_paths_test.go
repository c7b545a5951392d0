package validate_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// unit is what a systemd unit says, key by key.
type unit map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u := unit{}
	for line := range strings.Lines(read(t, "configs/deploy/systemd/"+name)) {
		if key, value, found := strings.Cut(strings.TrimSpace(line), "="); found && !strings.HasPrefix(key, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u
}

// one is the only value of a key.
func (u unit) one(t *testing.T, key string) string {
	t.Helper()
	if len(u[key]) != 1 {
		t.Fatalf("%s=%q", key, u[key])
	}
	return u[key][0]
}

func (u unit) seconds(t *testing.T, key string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(u.one(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// hardened is what both units say. systemd's rating alone would let single lines of it go.
const hardened = `Restart=on-failure RestartSec=1s StartLimitIntervalSec=60 StartLimitBurst=5 StateDirectoryMode=0700 NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes ProtectClock=yes
	ProtectHostname=yes ProtectKernelLogs=yes ProtectKernelModules=yes ProtectKernelTunables=yes ProtectControlGroups=yes ProtectProc=invisible RestrictNamespaces=yes RestrictRealtime=yes RestrictSUIDSGID=yes
	LockPersonality=yes MemoryDenyWriteExecute=yes RemoveIPC=yes KeyringMode=private SystemCallArchitectures=native SystemCallErrorNumber=EPERM WantedBy=multi-user.target Wants=network-online.target`

// TestUnitsSay: what the units promise in words: hardening, a user, an upgrade that systemd follows, a stop that waits for the drain, low ports for the edge and no right for the API.
func TestUnitsSay(t *testing.T) {
	weir, api := readUnit(t, "weir.service"), readUnit(t, "valor-api@.service")
	families, calls := "AF_INET AF_INET6 AF_UNIX", []string{"@system-service", "~@privileged @resources"}
	for name, u := range map[string]unit{"weir": weir, "valor-api@": api} {
		for _, line := range strings.Fields(hardened) {
			if key, value, _ := strings.Cut(line, "="); u.one(t, key) != value {
				t.Errorf("%s: %s=%s", name, key, u.one(t, key))
			}
		}
		if !slices.Equal(u["SystemCallFilter"], calls) || u.one(t, "RestrictAddressFamilies") != families || !strings.HasPrefix(u.one(t, "After"), "network-online.target") {
			t.Errorf("%s: %q, %q, after %q", name, u["SystemCallFilter"], u["RestrictAddressFamilies"], u["After"])
		}
	}
	const low = "CAP_NET_BIND_SERVICE"
	for key, want := range map[string]string{"Type": "notify", "NotifyAccess": "all", "KillMode": "mixed", "SuccessExitStatus": "3", "LimitNOFILE": "1048576", "AmbientCapabilities": low, "CapabilityBoundingSet": low, "UMask": "0027"} {
		if weir.one(t, key) != want {
			t.Errorf("weir: %s=%s, want %s", key, weir.one(t, key), want)
		}
	}
	for key, want := range map[string]string{"Type": "exec", "CapabilityBoundingSet": "", "UMask": "0077"} {
		if api.one(t, key) != want {
			t.Errorf("valor-api@: %s=%s, want %s", key, api.one(t, key), want)
		}
	}
	drain := regexp.MustCompile("`--drain-timeout` \\((\\d+ s)\\)").FindStringSubmatch(read(t, "docs/operations.md"))
	if drain == nil {
		t.Fatal("docs/operations.md does not say what --drain-timeout is")
	}
	most, err := time.ParseDuration(strings.ReplaceAll(drain[1], " ", ""))
	if err != nil || weir.seconds(t, "TimeoutStopSec") < most+10*time.Second || strings.Contains(weir.one(t, "ExecStart"), "drain") {
		t.Errorf("weir is killed after %v, drains for %v (%v)", weir.seconds(t, "TimeoutStopSec"), most, err)
	}
	delay := regexp.MustCompile(`\bVALOR_DRAIN_DELAY=(\w+)`).FindStringSubmatch(strings.Join(api["Environment"], " "))
	if delay == nil {
		t.Fatal("no VALOR_DRAIN_DELAY")
	}
	checkNotice(t, read(t, "configs/deploy/compose/edge/weir.toml"), delay[1])
	if d, err := time.ParseDuration(delay[1]); err != nil || api.seconds(t, "TimeoutStopSec") < d+15*time.Second {
		t.Errorf("a colour is killed after %v (%v)", api.seconds(t, "TimeoutStopSec"), err)
	}
}

// TestHostPaths: what units, logrotate, fail2ban, tmpfiles, sysusers, deploy.sh and those who ship logs call a file is the same file.
func TestHostPaths(t *testing.T) {
	weir, api := readUnit(t, "weir.service"), readUnit(t, "valor-api@.service")
	is := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	has := func(file string, lines ...string) {
		t.Helper()
		text := read(t, "configs/deploy/"+file)
		for _, l := range lines {
			if !slices.ContainsFunc(strings.Split(text, "\n"), func(have string) bool { return strings.TrimSpace(have) == l }) {
				t.Errorf("%s does not say %s", file, l)
			}
		}
	}
	is("ExecStartPre", weir.one(t, "ExecStartPre"), "/usr/bin/weir check -c /etc/weir/weir.toml")
	is("ExecStart", weir.one(t, "ExecStart"), "/usr/bin/weir run -c /etc/weir/weir.toml --pid /run/weir/weir.pid")
	is("ExecReload", weir.one(t, "ExecReload"), "/usr/bin/weir reload")
	run, logs, user := "/run/"+weir.one(t, "RuntimeDirectory"), "/var/log/"+weir.one(t, "LogsDirectory"), weir.one(t, "User")
	is("the edge's folder", "/etc/"+weir.one(t, "ConfigurationDirectory"), "/etc/weir")
	is("its group", weir.one(t, "Group"), user)
	is("its settings", weir.one(t, "EnvironmentFile"), "-/etc/weir/weir.env")
	has("systemd/weir.sysusers", `u `+user+` - "Weir edge proxy" /var/lib/`+weir.one(t, "StateDirectory"))
	has("systemd/weir.tmpfiles", "d /etc/weir 0750 root "+user+" -", "z /etc/weir/weir.env 0600 root root -")
	has("logrotate/weir", logs+"/*.log {", "su "+user+" "+user, "create 0640 "+user+" "+user, "[ ! -s "+run+`/weir.pid ] || kill -USR1 "$(cat `+run+`/weir.pid)"`, "delaycompress", "missingok", "sharedscripts", "compress")
	has("fail2ban/jail.d/weir.conf", "logpath  = "+logs+"/access.log", "protocol = tcp,udp", "port     = http,https")
	has("monitoring/filebeat/filebeat.yml", `paths: ["${WEIR_LOGS:`+logs+`/*.log}"]`, `paths: ["${CONTAINER_LOGS:/var/lib/docker/containers/*/*.log}"]`)
	has("monitoring/loki/config.alloy", `{"__path__" = "`+logs+`/*.log", "job" = "weir"},`, `{"__path__" = "/var/lib/docker/containers/*/*.log", "job" = "containers"},`)

	user = api.one(t, "User")
	is("the API's group", api.one(t, "Group"), user)
	state := "/var/lib/" + api.one(t, "StateDirectory")
	is("where the API works", api.one(t, "WorkingDirectory"), state)
	is("its database", api["Environment"][1], "VALOR_DATABASE=file:"+state+"/valor.db")
	is("its colour", strings.Fields(api["Environment"][0])[0], "VALOR_COLOR=%i")
	is("its settings", strings.Join(api["EnvironmentFile"], " "), "-/etc/valor-api/common.env /etc/valor-api/%i.env")
	is("its program", api.one(t, "ExecStart"), "/opt/valor-api/%i/valor-api")
	has("systemd/valor-api.sysusers", `u `+user+` - "Valor IVX API" `+state)
	has("deploy.d/systemd.sh", "releases=${RELEASES:-/opt/valor-api/releases}")
	has("systemd/valor-api.tmpfiles", "d /etc/valor-api 0750 root "+user+" -", "z /etc/valor-api/*.env 0600 root root -", "d /opt/valor-api 0755 root root -", "d /opt/valor-api/releases 0755 root root -")
	seen := map[string]bool{}
	for _, colour := range []string{"blue", "green"} {
		address, ok := strings.CutPrefix(strings.TrimSpace(read(t, "configs/deploy/systemd/"+colour+".env")), "VALOR_ADDRESS=127.0.0.1:")
		if !ok || seen[address] {
			t.Errorf("%s listens at %s", colour, address)
		}
		seen[address] = true
	}
	// What is installed as /etc/weir/weir.toml calls blue where blue.env has it listen.
	is("blue", strings.TrimSpace(read(t, "configs/deploy/systemd/blue.env")), "VALOR_ADDRESS="+regexp.MustCompile(`targets = \["(.*)"\]`).FindStringSubmatch(read(t, "configs/minimal.toml"))[1])
}
