package http2_test

import (
	"io"
	"testing"

	"github.com/valor-ivx/weir/proxy/http2"
)

func TestHelloThroughNetHTTP(t *testing.T) {
	for _, secure := range []bool{true, false} {
		s := start(t, secure, http2.Options{}, hello)
		client, url := s.client(secure)
		for range 3 {
			resp, err := client.Get(url + "/a?b=c")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(body) != string(helloBody) || resp.ProtoMajor != 2 || resp.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("got %v %v %q %v", resp.Proto, resp.Header, body, err)
			}
		}
	}
}
