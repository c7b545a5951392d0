package observe_test

import (
	"flag"
	"testing"

	"github.com/valor-ivx/weir/proxy/leaktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { leaktest.Main(m) }
