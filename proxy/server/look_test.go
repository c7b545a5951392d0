package server_test

import (
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestStatesAreInOrder: whoever has two states of a service knows by their numbers which is the later one, whatever ways they came, also after a restart. A state with a higher number than a write's answer
// never lacks the write.
func TestStatesAreInOrder(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, nil)
	service := func(status int, method, path, body string) (d admin.Service) {
		t.Helper()
		if err := json.Unmarshal([]byte(s.call(status, method, path, body)), &d); err != nil {
			t.Error(err)
		}
		return d
	}
	const writes = 100 // each waits for the disk
	var reading sync.WaitGroup
	read := make([][]admin.Service, 2)
	done := make(chan struct{})
	for i := range read {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				path, d, all := "/v1/services/api", admin.Service{}, admin.Status{}
				into := any(&d)
				if i == 1 {
					path, into = "/v1/status", &all
				}
				status, answer, err := s.try("GET", path, "")
				if err == nil {
					err = json.Unmarshal([]byte(answer), into)
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("%s: %d %v", path, status, err)
					return
				}
				if i == 0 {
					all.Services = []admin.Service{d}
				}
				read[i] = append(read[i], all.Services...)
			}
		})
	}
	// Green's weight goes up by one hundredth a write, so that a state tells which writes it has seen.
	written := make([]uint64, writes+1)
	for n := 1; n <= writes; n++ {
		w := admin.Weights{"blue": 10000 - admin.Weight(n), "green": admin.Weight(n)}
		body, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		written[n] = service(http.StatusOK, "PUT", "/v1/services/api/weights", string(body)).Number
		if written[n] <= written[n-1] {
			t.Fatalf("write %d has number %d after %d", n, written[n], written[n-1])
		}
	}
	close(done)
	reading.Wait()
	for _, list := range read {
		last := uint64(0)
		for _, d := range list {
			if d.Number <= last {
				t.Fatalf("number %d was read after %d", d.Number, last)
			}
			last = d.Number
			saw := int(d.Weights()["green"])
			if saw < writes && d.Number > written[saw+1] {
				t.Fatalf("number %d lacks write %d, which has %d", d.Number, saw+1, written[saw+1])
			}
		}
	}
	last := service(http.StatusOK, "GET", "/v1/services/api", "").Number
	s.stop()
	s.running = run(t, s.dir, rolloutText(s.dir, s.rollout, s.blue.address, s.green.address))
	if d := service(http.StatusOK, "GET", "/v1/services/api", ""); d.Number <= last {
		t.Errorf("number %d after a restart, %d before", d.Number, last)
	}
}
