package validate_test

import (
	"fmt"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestLokiHoldsTogether: Loki takes what Alloy sends: at its port, with structured metadata, which wants schema 13 and the index tsdb in tables of a day; what is old is deleted.
func TestLokiHoldsTogether(t *testing.T) {
	var l struct {
		Auth   *bool `yaml:"auth_enabled"`
		Server struct {
			Port int `yaml:"http_listen_port"`
		}
		Common struct {
			Path        string `yaml:"path_prefix"`
			Replication int    `yaml:"replication_factor"`
			Ring        struct{ Kvstore struct{ Store string } }
			Storage     struct {
				Filesystem struct {
					Chunks string `yaml:"chunks_directory"`
					Rules  string `yaml:"rules_directory"`
				}
			}
		}
		Schema struct {
			Configs []struct {
				From, Store, Schema string
				Objects             string `yaml:"object_store"`
				Index               struct{ Prefix, Period string }
			}
		} `yaml:"schema_config"`
		Limits struct {
			Retention string `yaml:"retention_period"`
			Metadata  bool   `yaml:"allow_structured_metadata"`
			Labels    int    `yaml:"max_label_names_per_series"`
		} `yaml:"limits_config"`
		Compactor struct {
			Directory string `yaml:"working_directory"`
			Retention bool   `yaml:"retention_enabled"`
			Requests  string `yaml:"delete_request_store"`
		}
	}
	d := yaml.NewDecoder(strings.NewReader(read(t, "configs/deploy/monitoring/loki/loki.yml")))
	d.KnownFields(true)
	if err := d.Decode(&l); err != nil || len(l.Schema.Configs) != 1 {
		t.Fatalf("%v: %+v", err, l)
	}
	alloy := read(t, "configs/deploy/monitoring/loki/config.alloy")
	at := fmt.Sprintf("http://loki:%d", l.Server.Port)
	if !strings.Contains(alloy, `url = "`+at+`/loki/api/v1/push"`) || !strings.Contains(read(t, "configs/deploy/monitoring/grafana/provisioning/datasources/weir.yml"), "url: "+at+"\n") {
		t.Errorf("Alloy or Grafana do not call %s", at)
	}
	s, own := l.Schema.Configs[0], l.Common.Path+"/"
	if s.Store != "tsdb" || s.Schema != "v13" || s.Index.Period != "24h" || s.Index.Prefix == "" || s.From != "2026-01-01" || !l.Limits.Metadata || s.Objects != "filesystem" {
		t.Errorf("%+v %+v", s, l.Limits)
	}
	if f := l.Common.Storage.Filesystem; l.Auth == nil || *l.Auth || l.Common.Replication != 1 || l.Common.Ring.Kvstore.Store != "inmemory" || !strings.HasPrefix(f.Chunks, own) || !strings.HasPrefix(f.Rules, own) || f.Chunks == f.Rules {
		t.Errorf("%+v", l.Common)
	}
	// Alloy adds job and filename.
	if labels := len(alloyMap(alloy, "stage.labels")) + 2; l.Limits.Labels < labels || l.Limits.Retention == "" || !l.Compactor.Retention || l.Compactor.Requests != s.Objects || !strings.HasPrefix(l.Compactor.Directory, own) {
		t.Errorf("%d labels, %+v, %+v", labels, l.Limits, l.Compactor)
	}
}
