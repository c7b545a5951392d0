package server_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

// life is a server and the model it is held against.
type life struct {
	*running
	blue, green, spare *colour

	generation uint64
	weight     int  // blue's in the file, per cent
	overlay    int  // blue's by an operator; -1: none
	body       int  // max_body in the file, KiB: what makes files differ
	second     bool // a second listener
	spared     bool // blue has its second target
	alive      map[*colour]bool
}

// TestLife plays random sequences of reloads, weights and dying upstreams on one kept-alive connection: generations, shares and answers must be the model's,
// and nothing may be left at the end.
func TestLife(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	files := openFiles(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := begin(rt)
		defer l.end()
		rt.Repeat(map[string]func(*rapid.T){
			"":               l.check,
			"reload good":    l.reloadGood,
			"reload same":    l.reloadSame,
			"reload bad":     l.reloadBad,
			"hang up":        l.hangUp,
			"set weights":    l.setWeights,
			"reset weights":  l.resetWeights,
			"conflict":       l.conflict,
			"kill or start":  l.killOrStart,
			"hundred":        l.hundred,
			"same weights":   l.sameWeights,
			"restart server": l.restart,
		})
	})
	nothingLeft(t, ignore, files)
}

func begin(t *rapid.T) *life {
	l := &life{blue: newColour(t, "blue"), green: newColour(t, "green"), spare: newColour(t, "blue"), generation: 1, weight: 50, overlay: -1, body: 1}
	l.alive = map[*colour]bool{l.blue: true, l.green: true, l.spare: true}
	dir := shortDir(t)
	l.running = run(t, dir, l.text(dir))
	return l
}

func (l *life) end() {
	l.stop()
	for c := range l.alive {
		c.kill()
	}
	_ = os.RemoveAll(l.dir)
}

func (l *life) text(dir string) string {
	blues := []string{l.blue.address}
	if l.spared {
		blues = append(blues, l.spare.address)
	}
	return configText(dir, l.weight, l.body, l.second, blues, l.green.address)
}

// inForce is blue's weight now.
func (l *life) inForce() int {
	if l.overlay >= 0 {
		return l.overlay
	}
	return l.weight
}

func (l *life) blueLives() bool { return l.alive[l.blue] || l.spared && l.alive[l.spare] }

// change draws a file that differs from the one in force.
func (l *life) change(t *rapid.T) {
	l.t = t
	l.weight = rapid.IntRange(0, 100).Draw(t, "weight")
	l.second, l.spared = rapid.Bool().Draw(t, "second listener"), rapid.Bool().Draw(t, "second target")
	l.body++
	l.write(l.text(l.dir))
	l.generation++
}

func (l *life) reloadGood(t *rapid.T) {
	l.change(t)
	l.call(http.StatusOK, "POST", "/v1/reload", "")
}

// hangUp reloads by signal, and by the file watch, whichever comes first.
func (l *life) hangUp(t *rapid.T) {
	l.change(t)
	l.signals <- syscall.SIGHUP
	eventually(t, "the reload by signal", func() bool { return l.status().Generation == l.generation })
}

func (l *life) reloadSame(t *rapid.T) {
	l.t = t
	if out := l.call(http.StatusOK, "POST", "/v1/reload", ""); !strings.Contains(out, `"unchanged":true`) {
		t.Fatalf("reload of the same file: %s", out)
	}
}

func (l *life) reloadBad(t *rapid.T) {
	l.t = t
	good := l.text(l.dir)
	bad := rapid.SampledFrom([]string{
		strings.Replace(good, "weight = ", "weight = 1", 1), strings.Replace(good, "127.0.0.1:0", "127.0.0.1:1x", 1), good + "[nonsense]\n",
		strings.Replace(good, `service = "api"`, `service = "gone"`, 1), strings.Replace(good, `state_dir = "state"`, `state_dir = "other"`, 1),
		strings.Replace(good, "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\ntls = true\n", 1), "",
	}).Draw(t, "file")
	l.write(bad)
	l.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", "")
	if s := l.status(); s.Config.LastReload == nil || s.Config.LastReload.OK {
		t.Fatalf("status calls the refused reload %+v", s.Config.LastReload)
	}
	l.write(good)
}

func (l *life) setWeights(t *rapid.T) {
	l.t = t
	l.overlay = rapid.IntRange(0, 100).Draw(t, "blue")
	l.call(http.StatusOK, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, l.overlay, 100-l.overlay))
}

// sameWeights sets what is in force after some requests: a new block begins all the same.
func (l *life) sameWeights(t *rapid.T) {
	l.t = t
	for range rapid.IntRange(1, 99).Draw(t, "requests") {
		l.client.get(t)
	}
	l.overlay = l.inForce()
	l.call(http.StatusOK, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, l.overlay, 100-l.overlay))
}

func (l *life) resetWeights(t *rapid.T) {
	l.t = t
	l.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	l.overlay = -1
}

func (l *life) conflict(t *rapid.T) {
	l.t = t
	l.call(http.StatusPreconditionFailed, "PUT", "/v1/services/api/weights", `{"blue":1,"green":99}`, "If-Match", `"0123456789abcdef"`)
}

func (l *life) killOrStart(t *rapid.T) {
	l.t = t
	c := rapid.SampledFrom([]*colour{l.blue, l.green, l.spare}).Draw(t, "upstream")
	if l.alive[c] {
		c.kill()
	} else {
		c.start(t)
	}
	l.alive[c] = !l.alive[c]
}

// settled reports whether the server sees who lives.
func (l *life) settled() bool {
	l.running.t.Helper()
	address := map[string]bool{}
	for c, alive := range l.alive {
		address[c.address] = alive
	}
	for _, g := range l.status().Services[0].Groups {
		for _, target := range g.Targets {
			if target.State != "draining" && (target.State == "healthy") != address[target.Address] {
				return false
			}
		}
	}
	return true
}

// hundred is a block of requests: exact while everybody lives, and served by whoever may as long as somebody does. It is judged where the server saw right who lives
// from before the first request to behind the last, as it did if it saw so then and then in less time than the shortest outage takes: a probe that the machine was too
// busy to answer takes a target out too.
func (l *life) hundred(t *rapid.T) {
	l.t = t
	var begin time.Time
	eventually(t, "probes have seen who lives", func() bool {
		begin = time.Now()
		return l.settled()
	})
	got := map[string]int{}
	for range 100 {
		status, colour := l.client.get(t)
		got[fmt.Sprint(status, colour)]++
	}
	if !l.settled() || time.Since(begin) > shortestOutage {
		t.Logf("a block that proves nothing, in %s", time.Since(begin))
		return
	}
	blue := l.inForce()
	want := map[string]int{}
	switch {
	case l.blueLives() && l.alive[l.green]:
	case l.blueLives() && blue > 0:
		blue = 100
	case l.alive[l.green] && blue < 100:
		blue = 0
	default:
		if got["200blue"]+got["200green"] > 0 {
			t.Fatalf("nobody with weight lives, and yet %v", got)
		}
		return
	}
	for key, n := range map[string]int{"200blue": blue, "200green": 100 - blue} {
		if n > 0 {
			want[key] = n
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("100 requests: %v, want %v", got, want)
	}
}

// restart is another process, as far as one process can show: the overlay is what is left.
func (l *life) restart(t *rapid.T) {
	l.t = t
	l.stop()
	*l.running = *run(t, l.dir, l.text(l.dir))
	l.generation = 1
}

// check is what holds after every step.
func (l *life) check(t *rapid.T) {
	l.t = t
	s := l.status()
	if s.Generation != l.generation {
		t.Fatalf("generation %d, want %d", s.Generation, l.generation)
	}
	if w := s.Services[0].Weights(); int(w["blue"]) != 100*l.inForce() {
		t.Fatalf("weights %v, want blue %d", w, l.inForce())
	}
	if (s.Services[0].Overlay != nil) != (l.overlay >= 0) {
		t.Fatalf("overlay %+v, want one: %v", s.Services[0].Overlay, l.overlay >= 0)
	}
	want := 1
	if l.second {
		want = 2
	}
	if len(s.Listeners) != want || s.Listeners[0].Address != l.address {
		t.Fatalf("listeners %+v, want %d, the first at %s", s.Listeners, want, l.address)
	}
}
