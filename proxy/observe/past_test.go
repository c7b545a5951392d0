package observe_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// What is written is read again, as far as the format holds it.
func TestReadPast(t *testing.T) {
	full := observe.Past{
		End: time.Date(2026, 11, 2, 8, 34, 5, 678901000, time.UTC), Duration: 12345678,
		Client: netip.MustParseAddr("203.0.113.7"), Source: netip.MustParseAddr("10.1.2.3"), Method: "GET", Host: "valor.example.com", Path: "/api/runs/17",
		Secure: true, Status: 200, Attempts: 1, RequestID: "0123456789abcdef0123456789abcdef", Listener: "https", Route: "runs", Reason: "ok",
	}
	short := observe.Past{End: full.End.Truncate(time.Second), Client: full.Client, Method: "GET", Path: full.Path, Status: 200, Combined: true}
	odd := ordinary()
	odd.User, odd.Target, odd.Method, odd.MethodName = []byte(`a [01/Jan/2020:00:00:00 +0000] "GET`), []byte("/\"\xff?x"), message.MethodOther, []byte("FOO")
	oddShort := short
	oddShort.Method, oddShort.Path = "FOO", "/\"\xff"
	for name, c := range map[string]struct {
		format observe.Format
		entry  observe.Entry
		want   observe.Past
	}{
		"json":         {observe.JSON, ordinary(), full},
		"combined":     {observe.Combined, ordinary(), short},
		"odd combined": {observe.Combined, odd, oddShort},
	} {
		got, err := observe.ReadPast([]byte(logged(t, c.format, c.entry)))
		if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateApproxTime(0)); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestReadPastPaths(t *testing.T) {
	for target, want := range map[string]string{
		"/": "/", "/a/b?c=/d": "/a/b", "*": "*", "http://h": "/", "http://h/x?y": "/x", "h:443": "", "/a?u=http://h/z": "/a", "": "", "/http://h/z": "/http://h/z",
	} {
		for _, format := range []observe.Format{observe.JSON, observe.Combined} {
			e := ordinary()
			e.Target = []byte(target)
			if got, err := observe.ReadPast([]byte(logged(t, format, e))); err != nil || got.Path != want {
				t.Errorf("format %d, target %q: path %q, %v, want %q", format, target, got.Path, err, want)
			}
		}
	}
}

func TestReadPastRefuses(t *testing.T) {
	for _, line := range []string{
		"", "\n", "x", "{", "{}\x00", `{"event.dataset":"weir.access"}`, `{"event.dataset":"weir.access","@timestamp":"2026-11-02T08:34:05Z","client.ip":"x"}`,
		`{"event.dataset":"weir.access","@timestamp":"2026-11-02T08:34:05Z","event.duration":-1}`,
		`a - - [02/Nov/2026:03:04:05 -0530] "GET / HTTP/1.1" 200 1 "-" "-"`, `::1 - - [02/Nov/2026:03:04:05] "GET / HTTP/1.1" 200 1 "-" "-"`,
		`::1 - - [02/Nov/2026:03:04:05 -0530] "GET / HTTP/1.1" x 1 "-" "-"`, `::1 - - [02/Nov/2026:03:04:05 -0530] "GET / HTTP/1.1" 200`, `] "`,
	} {
		if p, err := observe.ReadPast([]byte(line)); err == nil {
			t.Errorf("%q is read as %+v", line, p)
		}
	}
	if _, err := observe.ReadPast([]byte(`{"event.dataset":"weir.log","message":"hello"}`)); !errors.Is(err, observe.ErrNotAccess) {
		t.Errorf("weir's own line: %v", err)
	}
}

// FuzzReadPast: whatever a line holds, reading it ends; and a line of ours is read, whoever sent the request.
func FuzzReadPast(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, target, host, agent []byte, kind uint8) {
		_, _ = observe.ReadPast(target)
		e := hostile(target, host, agent, kind)
		e.Time, e.Client, e.Status, e.Proto = time.Unix(1e9, 0), netip.MustParseAddr("::1"), 200, message.HTTP11
		for _, format := range []observe.Format{observe.JSON, observe.Combined} {
			line := logged(t, format, e)
			p, err := observe.ReadPast([]byte(line))
			if err != nil || p.Client != e.Client || p.Status != 200 || !p.End.Equal(e.Time) {
				t.Fatalf("%+v, %v of %s", p, err, line)
			}
			if s := string(target); format == observe.Combined && strings.HasPrefix(s, "/") && !strings.ContainsAny(s, " ?=@") && e.Method != message.MethodOther && p.Path != s {
				t.Fatalf("path %q of %s", p.Path, line)
			}
		}
	})
}
