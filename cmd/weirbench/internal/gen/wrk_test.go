package gen_test

import (
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
)

const wrkOutput = `Running 3s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.33ms  120.00us   5.00ms   90.10%
    Req/Sec    48.10k     1.00k   50.00k    70.00%
  144300 requests in 3.01s, 34.12MB read
`

func TestParseWrk(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want gen.WrkResult
		ok   bool
	}{
		"clean":         {wrkOutput + "Requests/sec:  47940.20\n", gen.WrkResult{Requests: 144300}, true},
		"bad status":    {wrkOutput + "  Non-2xx or 3xx responses: 12\nRequests/sec: 1\n", gen.WrkResult{Requests: 144300, Failed: 12}, true},
		"socket errors": {wrkOutput + "  Socket errors: connect 1, read 20, write 300, timeout 4000\n", gen.WrkResult{Requests: 144300, Failed: 4321}, true},
		"both":          {wrkOutput + "  Socket errors: connect 0, read 1, write 0, timeout 0\n  Non-2xx or 3xx responses: 2\n", gen.WrkResult{Requests: 144300, Failed: 3}, true},
		"refused":       {"unable to connect to 127.0.0.1:1 Connection refused\n", gen.WrkResult{}, false},
		"nothing done":  {"  0 requests in 1.00s, 0B read\n", gen.WrkResult{}, false},
		"empty":         {"", gen.WrkResult{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := gen.ParseWrk(c.text)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("ParseWrk = %+v, %v; want %+v, ok %v", got, err, c.want, c.ok)
			}
		})
	}
}
