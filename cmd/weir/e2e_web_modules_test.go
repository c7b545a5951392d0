package main

import (
	"path/filepath"
	"testing"
)

// module is the address of a module of the pages, under the name that its content gave it.
func (p *play) module(name string) string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.web, "assets", name+".*.js"))
	if err != nil || len(files) != 1 {
		p.t.Fatalf("%s: %q %v", name, files, err)
	}
	return "/assets/" + filepath.Base(files[0])
}

// TestE2EWebModules: what the pages' modules reckon by themselves, in the browser that runs them.
func TestE2EWebModules(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	tb := openTab(t)
	tb.open(p.origin+"/nowhere", "")
	for _, c := range []struct{ module, expression, want string }{
		{"format", `[0.07, 0.12, 0.035, 1e-9, 0, -0.5, null, 1].map(m.toPercent)`, `[7,12,3.5,1e-7,0,-50,null,100]`},
		{"format", `["7", "12", " 3.5 ", "1e-7", "0", "-50", "1E2"].map(m.fromPercent)`, `[0.07,0.12,0.035,1e-9,0,-0.5,1]`},
		{"format", `[...Array(2001).keys()].filter(n => m.fromPercent(String(n / 100)) !== Number((n / 100 + "e-2")) || m.toPercent(m.fromPercent(String(n / 100))) !== n / 100)`, `[]`},
		{"format", `[m.price(10.637192004), m.money(-1234.56), m.percent(.742426), m.percent(null), m.times(null), m.price(NaN), m.number(1e-9)]`, `["10.637","-1,234.6","74.24%","–","–","–","0"]`},
		// A stream cut at every place, with each of the three ends of lines, gives the same events.
		{"events", `(() => {
			const text = ": hello\nevent: progress\ndata: {\"done\":1}\n\ndata:a\ndata: b\nid: 3\n\nevent: empty\n\nevent: result\ndata\n\ndata: last";
			const all = new Set();
			for (const end of ["\n", "\r", "\r\n"]) {
				const s = text.replaceAll("\n", end);
				for (let i = 0; i <= s.length; i++) for (const j of [i, i + 1, i + 2]) {
					const p = new m.Parser();
					all.add(JSON.stringify([...p.feed(s.slice(0, i)), ...p.feed(s.slice(i, j)), ...p.feed(s.slice(j) + end)]));
				}
			}
			return [...all].map(JSON.parse) })()`,
			`[[{"event":"progress","data":"{\"done\":1}"},{"event":"message","data":"a\nb"},{"event":"result","data":""}]]`},
		{"form", `(() => {
			const fields = new Map([["wacc", {label: "Discount rate"}], ["termGrowth", {name: "termGrowth", label: "Terminal growth", kind: "percent"}], ["cash", {label: "In cash"}]]);
			return ["must be below wacc", "must be from 0.03 to 0.25 (line 3, column 14)", "must be above -0.5 and at most 1e-2", "of 0.5 cash and tvMethod x2 2y"].map(s => m.inWords(s, fields, fields.get("termGrowth"))) })()`,
			`["must be below “Discount rate”","must be from 3 % to 25 %","must be above -50 % and at most 1 %","of 50 % cash and tvMethod x2 2y"]`},
		{"heatmap", `[m.shade(1, 1, 1), m.shade(0, 0, 9), m.shade(9, 0, 9), m.shade(4.5, 0, 9), m.shade(-3, -3, 6)]`, `[4,0,8,4,0]`},
		{"heatmap", `[m.nearest([1, 2, 3], 2.4), m.nearest([1, 2, 3], 0.9), m.nearest([1, 2, 3], 3), m.nearest([1, 2, 3], null), m.nearest([0.07, 0.12], 0.07)]`, `[1,-1,2,-1,0]`},
		{"montecarlo", `(() => { const said = []; const q = m.quarters((part, done) => said.push([part, done])); [1, 30, 30, 60, 99, 100].forEach(n => q(n, 100)); q.reset(); q(100, 100); return said })()`, `[[1,30],[2,60],[3,99],[4,100],[4,100]]`},
		{"account", `[null, "/runs?a=1", "//evil.example/x", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "runs"].map(m.inside)`, `["/","/runs?a=1","/","/","/","/","/runs"]`},
		{"dcf", `m.caseOf({ticker: "A", wacc: 1, s1NWC: 2, compat: false, other: 3})`, `{"wacc":1,"s1NWC":2,"compat":false}`},
	} {
		var got string
		tb.eval(`import(`+quoteJS(p.module(c.module))+`).then(m => JSON.stringify(`+c.expression+`))`, &got)
		if got != c.want {
			t.Errorf("%s: %s\n is %s\nnot %s", c.module, c.expression, got, c.want)
		}
	}
	tb.clean(p.origin)
}
