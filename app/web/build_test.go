package web_test

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/valor-ivx/weir/app/web"
)

// small is a source in which app.js refers to page.js in both ways, that to dom.js, and the style to a picture.
func small() fstest.MapFS {
	return fstest.MapFS{
		"index.html":       {Data: []byte(`<link rel="stylesheet" href="/assets/style.css"><a href="/runs"></a><script type="module" src="/assets/app.js"></script>`)},
		"assets/app.js":    {Data: []byte(`import { a } from "./dom.js"; const b = () => import("./page.js"); import "./side.js"; // from somewhere`)},
		"assets/page.js":   {Data: []byte(`export { a } from "./dom.js"; fetch("./data.json");`)},
		"assets/side.js":   {Data: []byte(`1`)},
		"assets/dom.js":    {Data: []byte(`export const a = 1;`)},
		"assets/style.css": {Data: []byte(`body { background: url("dot.svg"), url("data:,x"); }`)},
		"assets/dot.svg":   {Data: []byte(`<svg/>`)},
	}
}

func build(t *testing.T, source fs.FS) map[string]string {
	t.Helper()
	files, err := web.Build(source)
	if err != nil {
		t.Fatal(err)
	}
	if files[len(files)-1].Name != web.Index {
		t.Errorf("the last file is %s", files[len(files)-1].Name)
	}
	tree := map[string]string{}
	for _, f := range files {
		tree[f.Name] = string(f.Body)
	}
	return tree
}

var hashed = regexp.MustCompile(`^(assets/[a-z]+)\.([0-9a-f]{16})(\.[a-z]+)$`)

// named is the name in a tree of a source's file.
func named(t *testing.T, tree map[string]string, name string) string {
	t.Helper()
	for to := range tree {
		if m := hashed.FindStringSubmatch(to); m != nil && m[1]+m[3] == name {
			return to
		}
	}
	t.Fatalf("%s is not in the tree", name)
	return ""
}

func TestBuildFollowsEveryReference(t *testing.T) {
	tree := build(t, small())
	at := func(name string) string { return path.Base(named(t, tree, "assets/"+name)) }
	want := map[string]string{
		"index.html": `<link rel="stylesheet" href="/assets/` + at("style.css") + `"><a href="/runs"></a><script type="module" src="/assets/` + at("app.js") + `"></script>`,
		"app.js":     `import { a } from "./` + at("dom.js") + `"; const b = () => import("./` + at("page.js") + `"); import "./` + at("side.js") + `"; // from somewhere`,
		"page.js":    `export { a } from "./` + at("dom.js") + `"; fetch("./data.json");`,
		"style.css":  `body { background: url("` + at("dot.svg") + `"), url("data:,x"); }`,
	}
	for name, body := range want {
		to := name
		if name != web.Index {
			to = named(t, tree, "assets/"+name)
		}
		if tree[to] != body {
			t.Errorf("%s\n is %s\nnot %s", name, tree[to], body)
		}
	}
}

// A name changes with what it refers to, however far away, and with nothing else.
func TestNamesFollowContent(t *testing.T) {
	before := build(t, small())
	if again := build(t, small()); len(again) != len(before) {
		t.Fatal("two builds of one source differ")
	}
	source := small()
	source["assets/dom.js"] = &fstest.MapFile{Data: []byte(`export const a = 2;`)}
	after := build(t, source)
	for name, changes := range map[string]bool{"dom.js": true, "page.js": true, "app.js": true, "side.js": false, "style.css": false, "dot.svg": false} {
		if old, now := named(t, before, "assets/"+name), named(t, after, "assets/"+name); (old != now) != changes {
			t.Errorf("%s: %s, then %s", name, old, now)
		}
	}
	if before[web.Index] == after[web.Index] {
		t.Error("the index does not change")
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, text, says string }{
		"what is not there":   {"assets/app.js", `import "./gone.js"; import "./dom.js"; import "./page.js"; import "./side.js"`, "gone.js"},
		"what nobody asks of": {"assets/app.js", `import "./dom.js"; import "./page.js"`, "nothing refers to assets/side.js"},
		"a circle":            {"assets/dom.js", `import "./page.js"`, "refers to itself"},
		"a way out":           {"assets/style.css", `a { background: url("../../secret.svg") }`, "secret.svg"},
		"no index":            {"index.html", "", "index.html"},
	} {
		source := small()
		source[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		if c.text == "" {
			delete(source, c.file)
		}
		if _, err := web.Build(source); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is shipped can be served under a policy that allows this origin's files and nothing inline, and talks to nobody else.
func TestShippedPages(t *testing.T) {
	tree := build(t, web.Source())
	if len(tree) < 15 {
		t.Errorf("%d files", len(tree))
	}
	refused := []*regexp.Regexp{
		regexp.MustCompile(`<script(?:[^>]*)>[^<]`), regexp.MustCompile(`<style`), regexp.MustCompile(`\sstyle="`), regexp.MustCompile(`\son[a-z]+="`), // inline
		regexp.MustCompile(`\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function)\b\s*[(=]`), regexp.MustCompile(`javascript:`),
	}
	elsewhere := regexp.MustCompile(`(?:https?|wss?):?//[^"'\s]+`)
	for name, body := range tree {
		if name != web.Index && !hashed.MatchString(name) {
			t.Errorf("%s has no hash", name)
		}
		for _, r := range refused {
			if m := r.FindString(body); m != "" {
				t.Errorf("%s has %q", name, m)
			}
		}
		for _, url := range elsewhere.FindAllString(body, -1) {
			if !slices.Contains([]string{"http://www.w3.org/2000/svg"}, url) {
				t.Errorf("%s names %s", name, url)
			}
		}
		for _, m := range regexp.MustCompile(`"(?:\./|/assets/)([^"]+\.(?:js|css|svg))"`).FindAllStringSubmatch(body, -1) {
			if _, there := tree["assets/"+m[1]]; !there {
				t.Errorf("%s refers to %s, which is not there", name, m[1])
			}
		}
	}
}
