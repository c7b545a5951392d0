package configs_test

import (
	"os"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

func TestMinimalFileLoads(t *testing.T) {
	cfg, err := configs.Load("minimal.toml", os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	group := cfg.Services[0].Groups[0]
	if group.Name != "blue" || group.Weight != configs.WeightFull || group.Targets[0].Address != "127.0.0.1:5002" {
		t.Errorf("group = %+v", group)
	}
	if cfg.Routes[0].Path != (configs.Pattern{Kind: configs.PathPrefix, Text: "/"}) {
		t.Errorf("path = %+v", cfg.Routes[0].Path)
	}
}
