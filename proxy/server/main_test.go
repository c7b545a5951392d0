package server_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain lowers rapid's number of checks: each one here is the whole life of a server. -rapid.checks still decides when it is given.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "12"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
