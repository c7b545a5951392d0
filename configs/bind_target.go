package configs

import "reflect"

// target binds the short form, a string, or the long form, a table.
func (b binder) target(t *Target, raw any, path string) {
	switch raw := raw.(type) {
	case string:
		t.Address = raw
		b.targetForm(path, raw, parseTarget)
	case map[string]any:
		b.table(reflect.ValueOf(t).Elem(), raw, path)
		b.targetTable(t, raw, path)
	default:
		b.report.value(path, `a target must be "IP:PORT" or a table, not %s`, kindOf(raw))
	}
}

func (b binder) targetTable(t *Target, table map[string]any, path string) {
	forms := 0
	for _, form := range []struct {
		key, value string
		parse      func(string) error
	}{{"address", t.Address, parseTarget}, {"dns", t.DNS, parseDNSTarget}, {"srv", t.SRV, parseSRVTarget}, {"kubernetes", t.Kubernetes, parseKubernetesTarget}} {
		if _, set := table[form.key]; set {
			forms++
			b.targetForm(joinKey(path, form.key), form.value, form.parse)
		}
	}
	_, weighted := table["weight"]
	switch {
	case forms != 1 && !b.bad(path):
		b.report.value(path, "a target needs exactly one of address, dns, srv and kubernetes")
	case t.SRV != "" && weighted:
		b.report.key(joinKey(path, "weight"), "weight does not go with srv: SRV records carry their own")
	}
}

func (b binder) targetForm(path, value string, parse func(string) error) {
	if b.bad(path) {
		return
	}
	if err := parse(value); err != nil {
		b.report.value(path, "target %s %v", b.quote(path, value), err)
	}
}
