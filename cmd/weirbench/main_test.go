package main

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/compare"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

func TestUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want error
		says string
	}{
		"nothing":         {nil, errUsage, "weirbench compare"},
		"unknown verb":    {[]string{"measure"}, errUsage, "weirbench load"},
		"help":            {[]string{"compare", "-h"}, flag.ErrHelp, "-rounds"},
		"unknown flag":    {[]string{"compare", "-fast"}, errUsage, "-fast"},
		"stray argument":  {[]string{"compare", "h1-get"}, errUsage, `"h1-get"`},
		"unknown proxy":   {[]string{"compare", "-proxies", "nginx,apache"}, errUsage, "apache"},
		"no proxy":        {[]string{"compare", "-proxies", ","}, errUsage, "no proxies"},
		"load help":       {[]string{"load", "-h"}, flag.ErrHelp, "overload"},
		"stray load word": {[]string{"load", "now"}, errUsage, `"now"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out, diag strings.Builder
			err := run(t.Context(), c.args, &out, &diag)
			if !errors.Is(err, c.want) || !strings.Contains(diag.String(), c.says) || out.Len() > 0 {
				t.Errorf("run = %v, says %q, prints %q", err, diag.String(), out.String())
			}
		})
	}
}

func TestLoadRefusesOtherMachinesBeforeItStartsAnything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	var out, diag strings.Builder
	err := run(t.Context(), []string{"load", "-target", "http://192.0.2.1:80/", "-o", dir, "-weir", "no/such"}, &out, &diag)
	if err == nil || !strings.Contains(err.Error(), "only loopback") {
		t.Errorf("run = %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a report folder was made")
	}
}

func TestGate(t *testing.T) {
	row := func(weir float64) *compare.Row {
		max := 10.0
		return compare.NewRow(compare.Figure{Name: "RSS", Max: &max}, map[peer.Name][]float64{peer.Weir: {weir}})
	}
	good, bad := &compare.Result{Rows: []*compare.Row{row(9)}}, &compare.Result{Rows: []*compare.Row{row(9), row(11)}}
	if err := verdict(good, true); err != nil {
		t.Errorf("good: %v", err)
	}
	if err := verdict(bad, true); err == nil || !strings.Contains(err.Error(), "RSS: fail") {
		t.Errorf("bad: %v", err)
	}
	if err := verdict(bad, false); err != nil {
		t.Errorf("a missed demand fails without -gate: %v", err)
	}
	good.Failures = 1
	if err := verdict(good, false); err == nil {
		t.Error("failed trials exit 0")
	}
}
