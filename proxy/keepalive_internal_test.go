package proxy

import (
	"testing"
	"time"
)

func TestKeepAliveTimeout(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"timeout=5": 5 * time.Second, "timeout=5, max=100": 5 * time.Second, "max=100,Timeout=72": 72 * time.Second, "timeout=0": 0, "timeout=86400": 24 * time.Hour,
		"": -1, "timeout": -1, "timeout=": -1, "timeout=-1": -1, "timeout=5.5": -1, "timeout = 5": -1, "max=5": -1, "timeout=86401": -1, "timeout=99999999999999999999": -1,
		"xtimeout=5": -1, ",, timeout=3": 3 * time.Second,
	} {
		got, ok := keepAliveTimeout([]byte(value))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func FuzzKeepAliveTimeout(f *testing.F) {
	for _, seed := range []string{"timeout=5, max=100", "timeout=", "TIMEOUT=0,", ",,=", "timeout=99999999999999999999"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if d, ok := keepAliveTimeout(value); d < 0 || d > 24*time.Hour || !ok && d != 0 {
			t.Errorf("%q: %v, %t", value, d, ok)
		}
	})
}
