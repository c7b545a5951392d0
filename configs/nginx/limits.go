package nginx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// most is how many limits a route can name.
const most = 8

// limitsOf puts on a route what limit_req and limit_conn say.
func (im *importer) limitsOf(l *location, r *route) {
	for _, d := range l.inherited("limit_req") {
		im.limitReq(l, r, d)
	}
	for _, d := range l.inherited("limit_conn") {
		im.limitConn(l, r, d)
	}
}

// zone finds limit_req_zone or limit_conn_zone by the name of its zone.
func (im *importer) zone(kind, name string) *directive {
	for _, d := range im.http.all(kind) {
		for _, a := range d.args {
			if z, ok := strings.CutPrefix(a, "zone="); ok {
				if z, _, _ = strings.Cut(z, ":"); z == name {
					return d
				}
			}
		}
	}
	return nil
}

// params reads NAME=VALUE arguments; a word alone has the value "".
func params(args []string) map[string]string {
	m := map[string]string{}
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		m[name] = value
	}
	return m
}

func (im *importer) limitReq(l *location, r *route, d *directive) {
	p := params(d.args)
	zone := im.zone("limit_req_zone", p["zone"])
	if zone == nil {
		d.lost("no limit_req_zone of that name")
		return
	}
	key, ok := limitKey(zone)
	rate, unit, cut := strings.Cut(params(zone.args)["rate"], "r/")
	n, err := strconv.Atoi(rate)
	if !ok || !cut || err != nil || n < 1 || n > 1_000_000 || unit != "s" && unit != "m" {
		zone.lost("its key is none of client_ip, header:NAME, cookie:NAME and route, or its rate no whole number")
		d.lost("its zone is not translated")
		return
	}
	exact(zone)
	burst, err := strconv.Atoi(p["burst"])
	if p["burst"] == "" {
		burst = 0
	} else if err != nil || burst < 0 || burst >= 1_000_000 {
		d.lost("burst is from 1 to 1000000")
		return
	}
	_, nodelay := p["nodelay"]
	exact(d)
	if !nodelay && burst > 0 {
		d.note("requests within burst are let through at once; nginx without nodelay makes them wait")
	}
	limitStatus(d, l.setting("limit_req_status"), "")
	dry := l.setting("limit_req_dry_run")
	exact(dry)
	im.name(r, d, p["zone"], &limit{rate: fmt.Sprintf("%d/%s", n, unit), key: key, burst: burst + 1, dryRun: dry.on(), from: zone})
}

// limitStatus says what becomes of the status that a limit refuses with.
func limitStatus(d, status *directive, first string) {
	if status.arg(0) == "429" {
		exact(status)
		return
	}
	d.note("%s429 in place of %s", first, orDefault(status.arg(0), "503"))
	status.mark(Noted, "429 in its place")
}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (im *importer) limitConn(l *location, r *route, d *directive) {
	zone := im.zone("limit_conn_zone", d.arg(0))
	n, err := strconv.Atoi(d.arg(1))
	if zone == nil || err != nil || n < 1 || n > 1_000_000 {
		d.lost("no limit_conn_zone of that name, or a number that is not from 1 to 1000000")
		return
	}
	key, ok := limitKey(zone)
	if !ok {
		zone.lost("its key is none of client_ip, header:NAME, cookie:NAME and route")
		d.lost("its zone is not translated")
		return
	}
	exact(zone, d)
	limitStatus(d, l.setting("limit_conn_status"), "requests under way; ")
	dry := l.setting("limit_conn_dry_run")
	exact(dry)
	im.name(r, d, d.arg(0), &limit{concurrency: n, key: key, dryRun: dry.on(), from: zone})
}

// limitKey is the key of a zone.
func limitKey(zone *directive) (key string, ok bool) {
	switch v := strings.NewReplacer("{", "", "}", "").Replace(zone.arg(0)); {
	case v == "$binary_remote_addr" || v == "$remote_addr":
		return "client_ip", true
	case v == "$server_name" || v == "$host":
		zone.note("counted by route")
		return "route", true
	case v == "$binary_remote_addr$server_name" || v == "$binary_remote_addr$host":
		zone.note("counted by client and route")
		return "client_ip+route", true
	case cookieOf(v) != "":
		zone.note("a request without the cookie is counted by its address; nginx does not count it")
		return "cookie:" + cookieOf(v), true
	case headerOf(v) != "":
		zone.note("a request without the field is counted by its address; nginx does not count it")
		return "header:" + headerOf(v), true
	}
	return "", false
}

// name gives a limit its name and the route the limit.
func (im *importer) name(r *route, d *directive, want string, lim *limit) {
	id := fmt.Sprint(want, "\n", lim.rate, lim.key, lim.burst, lim.concurrency, lim.dryRun)
	name, ok := im.limitsByID[id]
	if !ok {
		name = im.unique("limit", label(want, "limit"))
		if name != label(want, "limit") {
			d.note("a limit of its own, %s: nginx counts all that name the zone together", name)
		}
		lim.name = name
		im.limitsByID[id] = name
		im.doc.limits = append(im.doc.limits, lim)
	}
	if slices.Contains(r.limits, name) {
		return
	}
	if len(r.limits) == most {
		d.lost("a route has at most %d limits", most)
		return
	}
	r.limits = append(r.limits, name)
}
