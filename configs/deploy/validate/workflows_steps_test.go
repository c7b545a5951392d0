package validate_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"
)

// doings are what every job does, step by step: an action's name, or the first line that is run. Behind a job's name what it needs, and what it may beyond reading the code.
var doings = map[string]string{
	"ci test":        "actions/checkout, actions/setup-go, sudo make deps, make ci",
	"ci screenshots": "actions/checkout, actions/setup-go, sudo make deps, make screenshots, actions/upload-artifact",
	"ci fuzz":        "actions/checkout, actions/setup-go, make fuzz FUZZTIME=10s",
	"ci golangci":    "actions/checkout, actions/setup-go, go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint run",
	"ci chart":       "actions/checkout, actions/setup-go, go install helm.sh/helm/v3/cmd/helm", // and more: TestWorkflowHoldsTheChart
	"deploy images [] packages": "actions/checkout, docker/setup-buildx-action, docker/login-action, " +
		`echo "image=${REGISTRY}/${GITHUB_REPOSITORY_OWNER,,}/${TARGET}" >> "$GITHUB_OUTPUT", docker/build-push-action`,
	"deploy deploy [images]": `actions/checkout, install -m 600 /dev/null "$RUNNER_TEMP/kubeconfig" && printf '%s' "$CONTENT" > "$RUNNER_TEMP/kubeconfig", ` +
		`configs/deploy/deploy.sh "$ENVIRONMENT" "$GITHUB_SHA" --evidence "$GITHUB_STEP_SUMMARY"`,
	"deploy rollback [deploy]": `actions/checkout, install -m 600 /dev/null "$RUNNER_TEMP/kubeconfig" && printf '%s' "$CONTENT" > "$RUNNER_TEMP/kubeconfig", ` +
		`configs/deploy/deploy.sh rollback "$ENVIRONMENT"`,
	"release test": "actions/checkout, actions/setup-go, sudo make deps, make ci",
	"release files [test] attestations contents id-token": "actions/checkout, actions/setup-go, docker/setup-qemu-action, sigstore/cosign-installer, anchore/sbom-action/download-syft, " +
		`make packages VERSION="${GITHUB_REF_NAME#v}", goreleaser/goreleaser-action, actions/attest-build-provenance`,
	"release images [test] attestations id-token packages": "actions/checkout, docker/setup-buildx-action, docker/login-action, " +
		`echo "image=${REGISTRY}/${GITHUB_REPOSITORY_OWNER,,}/${TARGET}" >> "$GITHUB_OUTPUT", docker/build-push-action, sigstore/cosign-installer, cosign sign --yes "$IMAGE@$DIGEST", actions/attest-build-provenance`,
	"security govulncheck":               "actions/checkout, actions/setup-go, go run golang.org/x/vuln/cmd/govulncheck -C ${{ matrix.module }} -test ./...",
	"security codeql [] security-events": "actions/checkout, actions/setup-go, github/codeql-action/init, github/codeql-action/analyze",
	"security dependencies":              "actions/checkout, actions/dependency-review-action",
	"security files":                     "actions/checkout, aquasecurity/trivy-action",
	"security image":                     `actions/checkout, docker build --target "$TARGET" -t "$TARGET:scan" ., aquasecurity/trivy-action`,
	"security snyk":                      "actions/checkout, snyk/actions/golang",
}

// TestWorkflowsDo: every job does this, after those that it needs, with these rights, within a time.
func TestWorkflowsDo(t *testing.T) {
	found := 0
	for name, w := range workflows(t) {
		for job, j := range w.Jobs {
			who, may := name+" "+job, []string{}
			for right, how := range j.Permissions {
				if how == "write" {
					may = append(may, right)
				}
			}
			slices.Sort(may)
			if needs := j.needs(); len(needs)+len(may) > 0 {
				who += " " + fmt.Sprint(needs)
				who = strings.TrimSpace(who + " " + strings.Join(may, " "))
			}
			var does []string
			for _, s := range j.Steps {
				what, _, _ := strings.Cut(s.Uses, "@")
				if what == "" {
					what, _, _ = strings.Cut(s.Run, "\n")
					what = regexp.MustCompile(`@v[0-9.]+`).ReplaceAllString(what, "") // which versions the bot moves
				}
				does = append(does, what)
			}
			if got := strings.Join(does, ", "); got != doings[who] {
				t.Errorf("%s does\n%s\nwant\n%s", who, got, doings[who])
			}
			found++
			if j.RunsOn != "ubuntu-24.04" || j.Timeout < 10 || j.Timeout > 90 || len(j.Permissions) > 0 && j.Permissions["contents"] == "" {
				t.Errorf("%s: runs on %s for %d minutes, permissions %v", who, j.RunsOn, j.Timeout, j.Permissions)
			}
		}
	}
	if found != len(doings) {
		t.Errorf("%d jobs, want %d", found, len(doings))
	}
}

func (j *job) needs() (list []string) {
	switch n := j.Needs.(type) {
	case string:
		return []string{n}
	case []any:
		for _, s := range n {
			list = append(list, s.(string))
		}
	}
	return list
}

// TestWorkflowsStart: each starts when it should, and what must not be cut short is not.
func TestWorkflowsStart(t *testing.T) {
	for name, want := range map[string]string{
		"ci": "{push: {branches: [main]}, pull_request: ''} cut short", "deploy": "{push: {branches: [main, develop]}} in turn", "release": `{push: {tags: ["v*.*.*"]}} `,
		"security": `{push: {branches: [main, develop]}, pull_request: '', schedule: [{cron: "17 4 * * 1"}]} cut short`,
	} {
		w := workflows(t)[name]
		on, err := yaml.Marshal(flow(&w.On))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimSpace(string(on)) + " " + map[any]string{nil: "", true: "cut short", false: "in turn"}[w.Concurrency["cancel-in-progress"]]
		if got != want || len(w.Concurrency) > 0 && !strings.HasPrefix(fmt.Sprint(w.Concurrency["group"]), name+"-${{ github.ref") {
			t.Errorf("%s: %s, %v, want %s", name, got, w.Concurrency, want)
		}
	}
}

// flow writes a node on one line, without comments.
func flow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode {
		n.Style = yaml.FlowStyle
	}
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, c := range n.Content {
		flow(c)
	}
	return n
}

// TestActionsAreGivenWhatTheyKnow: actionlint again, with each action by its version, not its commit, so that it knows which inputs there are; and the values that matter.
func TestActionsAreGivenWhatTheyKnow(t *testing.T) {
	l, err := actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`([\w.-]+/[\w./-]+)@[0-9a-f]{40} # v(\d+)\.\S+`).ReplaceAllFunc(text, func(use []byte) []byte {
			m := regexp.MustCompile(`(\S+)@\S+ # v(\d+)`).FindStringSubmatch(string(use))
			major, _ := strconv.Atoi(m[2]) // digits
			return []byte(known(m[1], major))
		})
		found, err := l.Lint(f, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range found {
			t.Error(e)
		}
	}
	minor := regexp.MustCompile(`(?m)^go (1\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	wants := map[string][]string{
		"actions/checkout": {"persist-credentials=false"}, "actions/setup-go": {"go-version=" + minor + ".x"}, "aquasecurity/trivy-action": {"exit-code=1", "severity=HIGH,CRITICAL"},
		"actions/dependency-review-action": {"fail-on-severity=moderate"}, "actions/upload-artifact": {"path=docs/img", "if-no-files-found=error"}, "github/codeql-action/init": {"queries=security-extended", "languages=${{ matrix.language }}", "build-mode=${{ matrix.build }}"},
		"docker/build-push-action": {"push=true", "target=${{ matrix.target }}"}, "docker/login-action": {"registry=${{ env.REGISTRY }}", "username=${{ github.actor }}", "password=${{ secrets.GITHUB_TOKEN }}"},
		"goreleaser/goreleaser-action": {"args=release --clean"}, "docker/setup-qemu-action": {"platforms=arm64"},
	}
	for name, w := range workflows(t) {
		for job, j := range w.Jobs {
			for _, s := range j.Steps {
				action, _, _ := strings.Cut(s.Uses, "@")
				for _, want := range wants[action] {
					if key, value, _ := strings.Cut(want, "="); fmt.Sprint(s.With[key]) != value {
						t.Errorf("%s %s: %s: %s=%v, want %s", name, job, action, key, s.With[key], value)
					}
				}
				if name == "release" && action == "actions/setup-go" && s.With["cache"] != false {
					t.Errorf("%s %s: what is released is built from a cache", name, job)
				}
			}
		}
	}
}

// known is the newest version of an action, not newer than major, that actionlint has the inputs of; major itself when it has none.
func known(action string, major int) string {
	for v := major; v > 0; v-- {
		name := fmt.Sprintf("%s@v%d", action, v)
		if _, there := actionlint.PopularActions[name]; there {
			return name
		}
	}
	return fmt.Sprintf("%s@v%d", action, major)
}

// TestWorkflowsCoverEverything: vulnerabilities are looked for in every module, images are built and scanned of every program, and the build arguments are the Dockerfile's.
func TestWorkflowsCoverEverything(t *testing.T) {
	all := workflows(t)
	var programs []string
	for _, m := range regexp.MustCompile(`(?m)^FROM common AS (\S+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		programs = append(programs, m[1])
	}
	for job, got := range map[string][]string{"deploy images": all["deploy"].Jobs["images"].Strategy.Matrix.Target, "release images": all["release"].Jobs["images"].Strategy.Matrix.Target, "security image": all["security"].Jobs["image"].Strategy.Matrix.Target} {
		if !slices.Equal(got, programs) {
			t.Errorf("%s: %q of %q", job, got, programs)
		}
	}
	if got := all["security"].Jobs["govulncheck"].Strategy.Matrix.Module; !slices.Equal(got, []string{".", "cmd/weirbench", "configs/deploy/validate"}) || !slices.Equal(got, modules(t)) {
		t.Errorf("govulncheck looks at %q of %q", got, modules(t))
	}
	with := func(workflow, job, action, key string) (value any) {
		for _, s := range all[workflow].Jobs[job].Steps {
			if strings.HasPrefix(s.Uses, action+"@") {
				value = s.With[key]
			}
		}
		return value
	}
	const attest, trivy = "actions/attest-build-provenance", "aquasecurity/trivy-action"
	for _, c := range []struct {
		got  any
		want string
	}{
		{with("security", "image", trivy, "image-ref"), "${{ matrix.target }}:scan"}, {with("security", "files", trivy, "scan-type"), "fs"}, {with("security", "files", trivy, "scanners"), "vuln,secret,misconfig"},
		{with("release", "images", attest, "subject-name"), "${{ steps.names.outputs.image }}"}, {with("release", "images", attest, "subject-digest"), "${{ steps.build.outputs.digest }}"},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %s", c.got, c.want)
		}
	}
	for _, name := range []string{"deploy", "release"} {
		for _, s := range all[name].Jobs["images"].Steps {
			args, _ := s.With["build-args"].(string)
			if !strings.HasPrefix(s.Uses, "docker/build-push-action@") {
				continue
			}
			for _, want := range map[string][]string{"deploy": {"VERSION=${{ github.sha }}", "REVISION=${{ github.sha }}"}, "release": {"VERSION=${{ github.ref_name }}", "REVISION=${{ github.sha }}", "CREATED=${{ steps.names.outputs.created }}"}}[name] {
				arg, _, _ := strings.Cut(want, "=")
				if !slices.Contains(strings.Split(args, "\n"), want) || !strings.Contains(read(t, "Dockerfile"), "\nARG "+arg+"=") {
					t.Errorf("%s: build-args %q, want %s", name, args, want)
				}
			}
			if tag := map[string]string{"deploy": "${{ github.sha }}", "release": "${{ github.ref_name }}"}[name]; s.With["tags"] != "${{ steps.names.outputs.image }}:"+tag {
				t.Errorf("%s: tags %v", name, s.With["tags"])
			}
			if name == "release" && (s.With["platforms"] != "linux/amd64,linux/arm64" || s.With["sbom"] != true || s.With["provenance"] != "mode=max") {
				t.Errorf("%s: %v", name, s.With)
			}
		}
	}
}

// modules are the folders of the repository that have a go.mod, tools aside.
func modules(t *testing.T) (list []string) {
	t.Helper()
	for _, dir := range []string{".", "*", "*/*", "*/*/*"} {
		found, err := filepath.Glob(filepath.Join(root, dir, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(root, filepath.Dir(f))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(list, rel) {
				list = append(list, rel)
			}
		}
	}
	return list
}

// TestWorkflowDeploys runs what the jobs of deploy.yml run, with a deploy.sh that writes down how it was called: the image that was pushed is the one that is deployed, to the environment of
// the branch, with the credentials that were given, readable by nobody else.
func TestWorkflowDeploys(t *testing.T) {
	const staged, live = "${{ github.ref_name == 'main' && 'production' || 'staging' }}", "${{ github.ref_name == 'main' && 'production-rollback' || 'staging' }}"
	w := workflows(t)["deploy"]
	if d, r := w.Jobs["deploy"], w.Jobs["rollback"]; d.Environment != staged || d.Env["ENVIRONMENT"] != staged || r.Environment != live || r.Env["ENVIRONMENT"] != staged {
		t.Errorf("deploy: %s, %v; rollback: %s, %v", d.Environment, d.Env, r.Environment, r.Env)
	}
	for name, want := range map[string]string{"images": "", "deploy": "production abc --evidence summary", "rollback": "rollback production"} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "configs/deploy/deploy.sh"), "#!/bin/sh\necho \"$@\" >record\ncp \"$KUBECONFIG\" given\n")
		if err := os.Chmod(filepath.Join(dir, "configs/deploy/deploy.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, s := range w.Jobs[name].Steps {
			if s.Run == "" {
				continue
			}
			cmd := exec.Command("bash", "-e", "-c", s.Run)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "RUNNER_TEMP="+dir, "GITHUB_SHA=abc", "GITHUB_STEP_SUMMARY=summary", "GITHUB_OUTPUT="+dir+"/output", "GITHUB_REPOSITORY_OWNER=Valor-IVX", "ENVIRONMENT=production", "REGISTRY="+w.Env["REGISTRY"])
			for k, v := range s.Env {
				cmd.Env = append(cmd.Env, k+"="+strings.NewReplacer("${{ runner.temp }}", dir, "${{ secrets.KUBECONFIG }}", "who I am", "${{ matrix.target }}", "valor-api").Replace(v))
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		}
		if name == "images" {
			if b, err := os.ReadFile(filepath.Join(dir, "output")); err != nil || string(b) != "image=ghcr.io/valor-ivx/valor-api\n" || !strings.Contains(read(t, "configs/deploy/deploy.d/kubernetes.sh"), "repository=${IMAGE:-ghcr.io/valor-ivx/valor-api}\n") {
				t.Errorf("%v %s", err, b)
			}
			continue
		}
		called, err1 := os.ReadFile(filepath.Join(dir, "record"))
		given, err2 := os.ReadFile(filepath.Join(dir, "given"))
		info, err3 := os.Stat(filepath.Join(dir, "kubeconfig"))
		if err := errors.Join(err1, err2, err3); err != nil || strings.TrimSpace(string(called)) != want || string(given) != "who I am" || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v: called by %q with %q, %v", name, err, called, given, info)
		}
	}
}

// TestDependabot: the bot looks at every module, at the actions, the Dockerfile and the images of compose, each where it is.
func TestDependabot(t *testing.T) {
	var bot struct {
		Version int
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
			Schedule    struct{ Interval string }
			Groups      map[string]struct {
				Types []string `yaml:"update-types"`
			}
		}
	}
	d := yaml.NewDecoder(strings.NewReader(read(t, ".github/dependabot.yml")))
	d.KnownFields(true)
	if err := d.Decode(&bot); err != nil || bot.Version != 2 || len(bot.Updates) != 4 {
		t.Fatalf("%v: %+v", err, bot)
	}
	var every []string
	for _, dir := range modules(t) {
		every = append(every, path.Join("/", dir))
	}
	for i, want := range []struct{ ecosystem, file string }{{"gomod", ""}, {"github-actions", ".github/workflows/ci.yml"}, {"docker", "Dockerfile"}, {"docker-compose", "compose.yaml"}} {
		u := bot.Updates[i]
		if u.Ecosystem != want.ecosystem || strings.HasPrefix(u.Directory, "/") != (want.file != "") || u.Schedule.Interval != "weekly" {
			t.Errorf("%+v, want %s", u, want.ecosystem)
		}
		if want.file != "" && !exists(filepath.Join(root, u.Directory, want.file)) || want.file == "" && (!slices.Equal(u.Directories, every) || !slices.Equal(u.Groups["minor"].Types, []string{"minor", "patch"})) {
			t.Errorf("%+v: want %s in %q", u, want.file, every)
		}
	}
}
