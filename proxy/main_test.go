package proxy_test

import (
	"testing"

	"github.com/valor-ivx/weir/proxy/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
