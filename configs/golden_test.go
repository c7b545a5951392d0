package configs_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/valor-ivx/weir/configs"
)

var update = flag.Bool("update", false, "rewrite golden files with what the code does now")

// TestGolden plays testdata/{good,bad}/*.txtar. Each archive holds weir.toml, the input; "env" with
// NAME=value lines; any other file the input refers to (cert.pem, key.pem and other-key.pem are there
// anyway); and what must come out: effective.toml in good, error in bad.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	pems := newPEMs(t)
	for _, file := range files {
		verdict := filepath.Base(filepath.Dir(file))
		t.Run(verdict+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input := section(archive, "weir.toml")
			if input == nil {
				t.Fatal("no weir.toml in the archive")
			}
			cfg, err := configs.Parse("weir.toml", input.Data, optionsOf(archive, pems))
			name, got := "error", ""
			if verdict == "good" {
				name = "effective.toml"
				if err != nil {
					t.Fatalf("must load:\n%v", err)
				}
				got = string(cfg.TOML())
			} else {
				if err == nil {
					t.Fatal("loaded, must not")
				}
				got = err.Error() + "\n"
			}
			compare(t, file, archive, name, got)
		})
	}
}

func compare(t *testing.T, file string, archive *txtar.Archive, name, got string) {
	t.Helper()
	want := section(archive, name)
	if *update {
		if want == nil {
			archive.Files = append(archive.Files, txtar.File{Name: name})
			want = &archive.Files[len(archive.Files)-1]
		}
		want.Data = []byte(got)
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want == nil {
		t.Fatalf("no %s in the archive; got:\n%s", name, got)
	}
	if diff := cmp.Diff(string(want.Data), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

func section(archive *txtar.Archive, name string) *txtar.File {
	for i := range archive.Files {
		if archive.Files[i].Name == name {
			return &archive.Files[i]
		}
	}
	return nil
}

func optionsOf(archive *txtar.Archive, pems map[string][]byte) configs.Options {
	env := map[string]string{"HOME": "/home/weir"}
	if f := section(archive, "env"); f != nil {
		for line := range strings.Lines(string(f.Data)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			env[name] = value
		}
	}
	folder := fstest.MapFS{}
	for _, f := range archive.Files {
		folder[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return configs.Options{
		Stat: func(path string) (fs.FileInfo, error) { return fs.Stat(folder, path) },
		Env: func(name string) (string, bool) {
			value, set := env[name]
			return value, set
		},
		ReadFile: func(path string) ([]byte, error) {
			if f := section(archive, path); f != nil {
				return f.Data, nil
			}
			if data, ok := pems[path]; ok {
				return data, nil
			}
			return nil, fs.ErrNotExist
		},
	}
}

// TestErrorsIsTheOnlyErrorType: callers may rely on errors.As to reach the list.
func TestErrorsIsTheOnlyErrorType(t *testing.T) {
	for name, input := range map[string]string{"syntax": "a =", "key": "a = 1", "text": "\xff", "size": strings.Repeat("#", configs.MaxFile+1)} {
		_, err := configs.Parse("x.toml", []byte(input), configs.Options{})
		var list configs.Errors
		if !errors.As(err, &list) || len(list) == 0 {
			t.Errorf("%s: error is %T: %v", name, err, err)
		}
	}
}
