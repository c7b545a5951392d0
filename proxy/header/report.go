package header

import (
	"strings"

	"github.com/valor-ivx/weir/proxy/message"
)

// endpoint is the name by which a policy's directive finds its URL in Reporting-Endpoints.
const endpoint = "csp"

// report has the policies say where browsers report to: report-to by those that know the Reporting API, and report-uri, which the others read and they then
// do not (CSP3 §6.5.1).
func (p *Policy) report(path string) {
	says, found := "; report-uri "+path+"; report-to "+endpoint, false
	for _, e := range p.entries {
		if message.EqualFold(e.Name, policyField) || message.EqualFold(e.Name, reportOnlyField) {
			p.put(Field{e.Name, strings.ReplaceAll(e.Value, ",", says+",") + says}, e.yields) // commas join policies of one field
			found = true
		}
	}
	if found {
		p.put(Field{"Reporting-Endpoints", endpoint + `="` + path + `"`}, false)
	}
}
