package http2_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
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

// TestManyAtOnce: several connections, answers of all sizes, uploads and cancelled requests, all at the same time. What is not cancelled arrives whole.
func TestManyAtOnce(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	s := start(t, true, http2.Options{}, paths(map[string]http2.Handler{
		"/small": small, "/large": func(s *http2.Stream) { answer(s, 200, body) }, "/digest": func(s *http2.Stream) {
			for _, err := s.Body().Next(); err == nil; _, err = s.Body().Next() {
			}
			if s.Body().Complete() {
				answer(s, 200, strconv.AppendInt(nil, s.Received(), 10))
			}
		},
	}))
	var wg sync.WaitGroup
	for worker := range 4 {
		client, url := s.client(true)
		for job := range 8 {
			wg.Go(func() {
				for i := range 12 {
					if err := someRequest(t.Context(), client, url, body, worker+job+i); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
}

func someRequest(parent context.Context, client *http.Client, url string, body []byte, kind int) error {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	path, method, upload, want := "/small", http.MethodGet, io.Reader(nil), helloBody
	switch kind % 4 {
	case 1:
		path, want = "/large", body
	case 2:
		path, method, upload, want = "/digest", http.MethodPost, bytes.NewReader(body), strconv.AppendInt(nil, int64(len(body)), 10)
	case 3:
		path, want = "/large", nil // cancelled in the middle
	}
	req, err := http.NewRequestWithContext(ctx, method, url+path, upload)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if want == nil {
		return nil
	}
	got, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %d bytes, want %d", path, len(got), len(want))
	}
	return err
}
