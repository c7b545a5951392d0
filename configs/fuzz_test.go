package configs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/valor-ivx/weir/configs"
)

// FuzzParse: nothing panics, every error points into the file, and what loads prints as a file that
// loads to the same effective configuration.
func FuzzParse(f *testing.F) {
	seedGolden(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		opts := configs.Options{
			Env:      func(name string) (string, bool) { return "v", name == "V" },
			ReadFile: func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		}
		cfg, err := configs.Parse("f", data, opts)
		if err != nil {
			checkPositions(t, data, err)
			return
		}
		printed := cfg.TOML()
		again, err := configs.Parse("printed", unredacted(printed), opts)
		if err != nil {
			t.Fatalf("effective configuration does not load: %v\n%s", err, printed)
		}
		if string(again.TOML()) != string(printed) {
			t.Fatalf("effective configuration changed on reading it back:\n%s\n---\n%s", printed, again.TOML())
		}
	})
}

// unredacted puts secrets where there have to be some that pass the checks.
func unredacted(printed []byte) []byte {
	return []byte(strings.NewReplacer("\nredis = \"[redacted]\"", "\nredis = \"rediss://redis\"",
		"\nsecret = \"[redacted]\"", "\nsecret = \"0123456789abcdefghijklmnopqrstuvwxyz\"",
		"\nprevious_secret = \"[redacted]\"", "\nprevious_secret = \"0123456789abcdefghijklmnopqrstuvwxyz\"").Replace(string(printed)))
}

func seedGolden(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(section(archive, "weir.toml").Data)
	}
	for _, name := range []string{"minimal.toml", "weir.toml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(switchOn(data))
	}
}

func checkPositions(t *testing.T, data []byte, err error) {
	t.Helper()
	var list configs.Errors
	if !errors.As(err, &list) || len(list) == 0 {
		t.Fatalf("error is %T: %v", err, err)
	}
	lines := strings.Split(string(data), "\n")
	for i, e := range list {
		// One column behind the last character is where something is missing.
		if e.Line < 1 || e.Line > len(lines) || e.Col < 1 || e.Col > utf8.RuneCountInString(lines[e.Line-1])+1 {
			t.Errorf("position outside the file of %d lines: %v", len(lines), e)
		}
		if i > 0 && (e.Line < list[i-1].Line || e == list[i-1]) {
			t.Errorf("out of order or twice: %v after %v", e, list[i-1])
		}
		if e.Message == "" || strings.ContainsAny(e.Message, "\n\x00") {
			t.Errorf("message is not one line: %q", e.Message)
		}
	}
}
