package configs

import (
	"slices"
	"time"
)

// WAF is a web application firewall for the routes that name it in waf: rules in ModSecurity's language, evaluated by Coraza, judge the address, the URI, the
// header fields and the beginning of the body of a request, and the status and header fields of its answer; not the answer's body. Of gRPC calls and WebSockets
// they judge the head alone. It costs 2 ms of a processor for a small request, and 20 MB and a quarter of a second at the start for each of these tables. What is blocked is
// answered 403, reason waf_blocked; the access log has the numbers of the rules as weir.waf.rules.
type WAF struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// detect: decide, count and log, let everything pass; block: refuse what scores. Begin with detect: what legitimate clients do is then seen before it is
	// refused.
	Mode string `toml:"mode" default:"detect" enum:"detect|block"`
	// crs: the OWASP core rule set 4.25, embedded; none: those of rules_file alone.
	Ruleset string `toml:"ruleset" default:"crs" enum:"crs|none"`
	// Of the core rule set: how suspicious it is. 1 is for everybody; each level more finds more, and takes more of what is legitimate for an attack.
	Paranoia int `toml:"paranoia" default:"1" min:"1" max:"4"`
	// Anomaly score from which a request is blocked. A critical rule scores 5, an error 4, a warning 3, a notice 2.
	InboundThreshold int `toml:"inbound_threshold" default:"5" min:"1" max:"10000"`
	// Likewise the score of an answer.
	OutboundThreshold int `toml:"outbound_threshold" default:"4" min:"1" max:"10000"`
	// Numbers of rules to leave out.
	Exclude []int `toml:"exclude"`
	// File with rules and settings of your own in ModSecurity's language, which run before the core rule set. What it says of engine, bodies and audit log does
	// not count. A changed one is in force within a second, and one with a mistake leaves the rules as they were (weir_waf_last_reload_successful).
	RulesFile string `toml:"rules_file"`
	// How much of a request's body is read and judged before the upstream is asked: "1KiB" to "1MiB". The core rule set takes about 9 ms of a processor for each KiB
	// of text, so this is also what one request may cost.
	MaxBody Size `toml:"max_body" default:"16KiB"`
	// How many arguments of query and body are judged, at about 0.4 ms each.
	MaxArguments int `toml:"max_arguments" default:"250" min:"1" max:"100000"`
	// What is longer than max_body or has more than max_arguments: pass, judged by its beginning, or block. An attack can stand behind what is judged.
	OnOversize string `toml:"on_oversize" default:"pass" enum:"pass|block"`
	// A request that cannot be judged, because there was no turn within timeout or the engine failed: block (503, waf_failed) or pass. With mode = "detect" it
	// passes.
	OnError string `toml:"on_error" default:"block" enum:"block|pass"`
	// Longest wait for a turn: as many requests are judged at once as there are processors but one.
	Timeout time.Duration `toml:"timeout" default:"1s" min:"1ms" max:"1m"`
}

// Bounds of max_body. Below, not even a login would be read; above, one request would be judged for seconds.
const (
	leastInspected Size = 1 << 10
	mostInspected  Size = 1 << 20
)

// wafs checks the tables, and names their files as those that are followed.
func (c checker) wafs() {
	for i := range c.cfg.WAFs {
		w := &c.cfg.WAFs[i]
		path := joinKey("waf", w.Name)
		if !isLabel(w.Name) {
			c.key(path, "waf name %q: %s", w.Name, labelRule)
		}
		if at := joinKey(path, "max_body"); !c.bad(at) && (w.MaxBody < leastInspected || w.MaxBody > mostInspected) {
			c.value(at, "max_body %s must be from %s to %s", w.MaxBody, leastInspected, mostInspected)
		}
		for j, id := range w.Exclude {
			if at := joinIndex(joinKey(path, "exclude"), j); id < 1 && !c.bad(at) {
				c.value(at, "exclude %d is no number of a rule", id)
			}
		}
		file := joinKey(path, "rules_file")
		c.followed(file, &w.RulesFile)
		if w.Ruleset == "none" && w.RulesFile == "" && !c.bad(file) && !c.bad(path) {
			c.key(path, "waf %q has no rules: add rules_file, or leave ruleset out", w.Name)
		}
	}
}

// wafOf checks what a route names.
func (c checker) wafOf(rt *Route, route string) {
	path := joinKey(route, "waf")
	if !c.pos.has(path) || c.bad(path) || c.bad("waf") && len(c.cfg.WAFs) == 0 {
		return
	}
	known := make([]string, len(c.cfg.WAFs))
	for i := range c.cfg.WAFs {
		known[i] = c.cfg.WAFs[i].Name
	}
	if !slices.Contains(known, rt.WAF) {
		c.value(path, "waf %s does not exist: there is no [waf.%s]%s", c.quote(path, rt.WAF), tableName(rt.WAF, c.raw[path]), didYouMean(rt.WAF, known))
	}
}
