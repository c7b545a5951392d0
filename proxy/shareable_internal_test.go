package proxy

import (
	"testing"

	"github.com/valor-ivx/weir/proxy/message"
)

func TestShareable(t *testing.T) {
	for _, c := range []struct {
		fields          []string // name, value
		shared, private bool
	}{
		{nil, false, false},
		{[]string{"Cache-Control", "public, max-age=0"}, true, false},
		{[]string{"Cache-Control", "max-age=31536000, immutable"}, true, false},
		{[]string{"cache-control", "Max-Age=600"}, true, false},
		{[]string{"Cache-Control", "max-age=0, must-revalidate"}, false, false},
		{[]string{"Cache-Control", "no-cache"}, false, false},
		{[]string{"Cache-Control", "s-maxage=1"}, true, false},
		{[]string{"Cache-Control", "private, max-age=600"}, false, true},
		{[]string{"Cache-Control", "no-store"}, false, true},
		{[]string{"Cache-Control", "max-age=600", "Cache-Control", "private"}, false, true},
		{[]string{"Cache-Control", `private="X-User", max-age=60`}, true, false},
		{[]string{"Expires", "Thu, 01 Jan 2099 00:00:00 GMT"}, false, false},
		{[]string{"Cache-Control", "private", "CDN-Cache-Control", "max-age=60"}, true, false},
		{[]string{"Surrogate-Control", "max-age=60"}, true, false},
		{[]string{"Cache-Control", "public", "Surrogate-Control", "no-store"}, true, false},
		{[]string{"CDN-Cache-Control", "no-store"}, false, false},
	} {
		var h message.Header
		for i := 0; i < len(c.fields); i += 2 {
			h.Add(c.fields[i], c.fields[i+1])
		}
		if shared, private := shareable(&h); shared != c.shared || private != c.private {
			t.Errorf("%q: shared %t, private %t", c.fields, shared, private)
		}
	}
}
