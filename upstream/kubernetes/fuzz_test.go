package kubernetes

import (
	"strings"
	"testing"
)

// FuzzEvents: whatever a watch says, it is understood or refused, within its bounds, and what is understood has endpoints that can be dialled.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		`{"type":"ADDED","object":{"kind":"EndpointSlice","metadata":{"name":"a","resourceVersion":"1"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true},"targetRef":{"uid":"u"}}],"ports":[{"name":"http","port":80,"protocol":"TCP"}]}}` + "\n" +
			`{"type":"DELETED","object":{"kind":"EndpointSlice","metadata":{"name":"a","resourceVersion":"2"}}}`,
		`{"type":"MODIFIED","object":{"kind":"EndpointSlice","metadata":{"name":"b","resourceVersion":"3"},"addressType":"IPv6","endpoints":[{"addresses":["fd00::1"],"conditions":{"ready":false,"serving":true,"terminating":true}}],"ports":null}}`,
		`{"type":"BOOKMARK","object":{"kind":"EndpointSlice","metadata":{"resourceVersion":"9"},"endpoints":null}}`,
		`{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}`,
		`{"type":"ADDED","object":null}`, `[`, `{"type":"ADDED","object":{"ports":[{"port":70000}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := newEvents(strings.NewReader(text))
		all := collection{}
		for {
			kind, o, err := e.next()
			if err != nil {
				break
			}
			if o.Metadata.ResourceVersion == "" || kind != "BOOKMARK" && o.Metadata.Name == "" {
				t.Fatalf("%s of an object without a version or a name", kind)
			}
			all[o.Metadata.Name] = o
			for _, port := range []string{"http", "80"} {
				list, _ := all.endpoints(port)
				for i, e := range list {
					if !e.Address.IsValid() || e.Address.Addr().IsUnspecified() || e.Address.Addr().IsMulticast() || i > 0 && list[i-1].Address.Compare(e.Address) >= 0 {
						t.Fatalf("endpoints %v", list)
					}
				}
			}
		}
		if l, err := readList(strings.NewReader(text)); err == nil && l.Metadata.ResourceVersion == "" {
			t.Fatal("a list without a version")
		}
	})
}
