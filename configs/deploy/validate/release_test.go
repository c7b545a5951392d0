package validate_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// goreleaser is as much of its format as we use. Another key is an error, as it is for goreleaser itself.
type goreleaser struct {
	Version int
	Project string `yaml:"project_name"`
	Builds  []struct {
		ID, Main, Binary                  string
		Env, Goos, Goarch, Flags, Ldflags []string
		ModTimestamp                      string `yaml:"mod_timestamp"`
	}
	Archives []struct {
		Formats, Files []string
		Name           string `yaml:"name_template"`
	}
	Checksum struct {
		Name  string `yaml:"name_template"`
		Extra []glob `yaml:"extra_files"`
	}
	Sboms []struct{ Artifacts string }
	Signs []struct {
		Cmd, Signature, Artifacts string
		Args                      []string
	}
	Changelog struct{ Use string }
	Release   struct {
		Extra []glob `yaml:"extra_files"`
	}
}

type glob struct{ Glob string }

// TestReleaseBuildsWhatIsThere: goreleaser builds both programs of the tree, static, for both architectures and with their version, packs files that are there, takes up the packages that
// `make packages` made before, and signs the checksums, which the workflow attests; of each archive there is a list of contents.
func TestReleaseBuildsWhatIsThere(t *testing.T) {
	var g goreleaser
	d := yaml.NewDecoder(strings.NewReader(read(t, ".goreleaser.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&g); err != nil {
		t.Fatal(err)
	}
	if g.Version != 2 || g.Project != "weir" || len(g.Builds) != 2 || len(g.Archives) != 1 || len(g.Sboms) != 1 || len(g.Signs) != 1 || g.Changelog.Use != "git" {
		t.Fatalf("%+v", g)
	}
	for i, name := range []string{"weir", "valor-api"} {
		b := g.Builds[i]
		if info, err := os.Stat(filepath.Join(root, b.Main)); err != nil || !info.IsDir() || b.ID != name || b.Binary != name || b.Main != "./cmd/"+name {
			t.Errorf("%+v: %v", b, err)
		}
		if !slices.Equal(b.Env, []string{"CGO_ENABLED=0"}) || !slices.Equal(b.Goos, []string{"linux"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) || !slices.Equal(b.Flags, []string{"-trimpath"}) ||
			!slices.Equal(b.Ldflags, []string{"-s -w -X main.version={{ .Version }}"}) || b.ModTimestamp != "{{ .CommitTimestamp }}" {
			t.Errorf("%+v", b)
		}
	}
	for _, f := range g.Archives[0].Files {
		if _, err := os.Stat(filepath.Join(root, f)); err != nil {
			t.Error(err)
		}
	}
	if a := g.Archives[0]; !slices.Contains(a.Files, "LICENSE") || !slices.Equal(a.Formats, []string{"tar.gz"}) || a.Name != "{{ .ProjectName }}_{{ .Version }}_{{ .Os }}_{{ .Arch }}" {
		t.Errorf("%+v", a)
	}
	packages := []glob{{"packages/*"}}
	if !slices.Equal(g.Checksum.Extra, packages) || !slices.Equal(g.Release.Extra, packages) || !strings.Contains(read(t, "Makefile"), " -t packages/; ") {
		t.Errorf("%+v, %+v", g.Checksum, g.Release)
	}
	if s := g.Signs[0]; s.Cmd != "cosign" || s.Artifacts != "checksum" || s.Signature != "${artifact}.sigstore.json" || !slices.Equal(s.Args, []string{"sign-blob", "--bundle=${signature}", "--yes", "${artifact}"}) || g.Sboms[0].Artifacts != "archive" {
		t.Errorf("%+v, %+v", s, g.Sboms)
	}
	if attest := "subject-checksums: dist/" + g.Checksum.Name + "\n"; !strings.Contains(read(t, ".github/workflows/release.yml"), attest) {
		t.Errorf("nothing attests %s", attest)
	}
}
