package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// levels are the layers of docs/architecture.md, lowest first; an import goes from a higher one to a lower one. Packages that the design names and nobody
// has written yet are in the table too, so that their level is settled before their first import.
var levels = []struct {
	name     string
	packages []string
}{
	{"L0", []string{"proxy/message", "proxy/route", "proxy/clientip", "proxy/websocket", "proxy/limit", "proxy/header", "proxy/handover", "proxy/siphash", "balancer", "tls", "configs", "app", "tls/pebbletest", "tls/certtest", "proxy/porttest", "proxy/otlptest", "proxy/leaktest", "proxy/redistest", "upstream/kubernetes", "upstream/kubetest"}},
	{"L1a", []string{
		"proxy/http1", "proxy/http2", "proxy/http3", "proxy/cache", "proxy/compress", "proxy/files", "proxy/auth", "proxy/csp", "proxy/waf",
		"proxy/observe", "proxy/trace",
	}},
	{"L1b", []string{"upstream"}},
	{"L2", []string{"proxy", "proxy/admin", "proxy/rollout", "proxy/shadow", "proxy/cluster"}},
	{"L3", []string{"proxy/server"}},
	{"L4", []string{"cmd/weir", "cmd/valor-api"}},
}

// foundation is what L0 may import: what every layer speaks in, and what it hashes with.
var foundation = []string{"proxy/message", "proxy/siphash"}

// testSupport are shared by the tests of several packages. They are packages because no _test file can be imported; nothing that is built imports them.
var testSupport = []string{"tls/pebbletest", "tls/certtest", "proxy/porttest", "app/pgtest", "proxy/otlptest", "proxy/leaktest", "proxy/redistest", "upstream/kubetest"}

// families are packages whose parts below them are theirs alone: nobody else imports those, and they count as the family's level. Inside a family imports
// are free; the compiler refuses cycles.
var families = []string{"app", "configs", "cmd/weir", "proxy/observe"}

// levelOf gives a package's family and level, -1 for one that the table does not know.
func levelOf(pkg string) (family string, level int) {
	family = pkg
	for _, f := range families {
		if strings.HasPrefix(pkg, f+"/") {
			family = f
		}
	}
	return family, slices.IndexFunc(levels, func(l struct {
		name     string
		packages []string
	}) bool {
		return slices.Contains(l.packages, family)
	})
}

// judge says why from may not import to, both being folders of this module; nil if it may.
func judge(from, to string) error {
	f, fl := levelOf(from)
	t, tl := levelOf(to)
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s imports %s: %s", from, to, fmt.Sprintf(format, args...))
	}
	switch {
	case fl < 0:
		return refuse("%s is not in the table of layers", from)
	case tl < 0:
		return refuse("%s is not in the table of layers", to)
	case f == t:
		return nil
	case slices.Contains(testSupport, t) && slices.Contains(testSupport, f):
		return nil
	case slices.Contains(testSupport, t):
		return refuse("only tests import %s", t)
	case t != to && t != "configs":
		return refuse("%s belongs to %s alone", to, t)
	case f == "app":
		return refuse("app imports nothing of the rest")
	case t == "app" && f != "cmd/valor-api":
		return refuse("only cmd/valor-api imports app")
	case f == "cmd/valor-api" && t != "app":
		return refuse("cmd/valor-api imports app and nothing else")
	case t == "configs" && f != "proxy/server" && f != "cmd/weir":
		return refuse("only proxy/server and cmd/weir import configs")
	case fl == 0 && (!slices.Contains(foundation, to) || slices.Contains(foundation, f)):
		return refuse("L0 imports nothing of ours but %s", strings.Join(foundation, ", "))
	case fl == 0:
		return nil // the one edge inside L0
	case f == "upstream" && levels[tl].name == "L1a" && to != "proxy/http1" && to != "proxy/http2":
		return refuse("of L1a upstream imports http1 and http2 only")
	case tl >= fl:
		return refuse("imports go down only, and %s is %s, %s is %s", from, levels[fl].name, to, levels[tl].name)
	}
	return nil
}

func TestLayers(t *testing.T) {
	reported := map[string]bool{}
	complain := func(err error) {
		if err != nil && !reported[err.Error()] {
			reported[err.Error()] = true
			t.Error(err)
		}
	}
	edges := 0
	for _, f := range sources(t) {
		if _, level := levelOf(f.pkg); level < 0 {
			complain(fmt.Errorf("package %s is not in the table of layers: put it into layers_test.go and docs/architecture.md", f.pkg))
			continue
		}
		for _, p := range f.imports(t) {
			if to, ours := strings.CutPrefix(p, module+"/"); ours {
				edges++
				complain(judge(f.pkg, to))
			}
		}
	}
	if edges < 20 {
		t.Errorf("%d imports seen: the tree is not being read", edges)
	}
}

// TestLayersRefuse shows that the rules bite: every one of them refuses an edge, and what the design allows passes.
func TestLayersRefuse(t *testing.T) {
	for _, c := range []struct {
		from, to, why string // why "" for an edge that is allowed
	}{
		{"balancer", "proxy/message", ""},
		{"balancer", "proxy/siphash", ""},
		{"proxy/http1", "proxy/message", ""},
		{"upstream", "proxy/http1", ""},
		{"proxy", "upstream", ""},
		{"proxy/server", "configs", ""},
		{"proxy/server", "configs/nginx", ""},
		{"cmd/weir", "cmd/weir/internal/client", ""},
		{"cmd/weir/internal/show", "proxy/admin", ""},
		{"cmd/valor-api", "app", ""},
		{"app/api", "app/store", ""},
		{"configs/nginx", "configs", ""},

		{"proxy/magic", "proxy/message", "proxy/magic is not in the table"},
		{"proxy", "proxy/magic", "proxy/magic is not in the table"},
		{"balancer", "proxy/route", "L0 imports nothing"},
		{"proxy/siphash", "proxy/message", "L0 imports nothing"},
		{"proxy/message", "proxy/message/x", "not in the table"},
		{"proxy/route", "proxy/http1", "L0 imports nothing"},
		{"proxy/http1", "proxy/observe", "imports go down only"},
		{"proxy/http1", "upstream", "imports go down only"},
		{"upstream", "proxy/observe", "http1 and http2 only"},
		{"proxy/admin", "proxy", "imports go down only"},
		{"proxy", "configs", "only proxy/server and cmd/weir"},
		{"upstream", "configs/nginx", "only proxy/server and cmd/weir"},
		{"proxy/server", "cmd/weir", "imports go down only"},
		{"proxy/server", "cmd/weir/internal/demo", "belongs to cmd/weir alone"},
		{"cmd/valor-api", "proxy/message", "nothing else"},
		{"cmd/weir", "app", "only cmd/valor-api"},
		{"cmd/valor-api", "app/store", "belongs to app alone"},
		{"app/api", "proxy/message", "app imports nothing"},
		{"app", "balancer", "app imports nothing"},
		{"proxy/server", "tls/pebbletest", "only tests import"},
		{"proxy/server", "proxy/porttest", "only tests import"},
	} {
		err := judge(c.from, c.to)
		switch {
		case c.why == "" && err != nil:
			t.Errorf("allowed edge refused: %v", err)
		case c.why != "" && err == nil:
			t.Errorf("%s imports %s: allowed, want %q", c.from, c.to, c.why)
		case c.why != "" && !strings.Contains(err.Error(), c.why):
			t.Errorf("%v: want %q", err, c.why)
		}
	}
}
