package waf

import (
	"fmt"
	"strconv"
	"strings"
)

// Numbers of rules of our own. Up to 99,999 is for local use in ModSecurity's scheme, so operators have them; 200,000 to 200,199 is Coraza's recommended file,
// which these rules stand for; those of the core rule set's own set-up file have its numbers there, so that an operator's, which come first, keep theirs out.
const (
	ruleArguments = 200198
	ruleOversize  = 200199
)

// directives are what an engine is made of, in the order in which rules run: the operator's first, because exclusions at run time and settings of the core rule
// set have to come before it; then ours, so that mode and bounds are the configuration's whatever the file says; then the core rule set.
func (o *Options) directives(own string) string {
	var b strings.Builder
	b.WriteString(own)
	// On in both modes: what would be blocked is then decided by the same rules as what is. Buffers stay in memory: the body is no longer than its limit. Files of multipart
	// bodies are written to the temporary folder while they are judged, which is how Coraza has them, and are never kept.
	fmt.Fprintf(&b, `
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit %[1]d
SecRequestBodyInMemoryLimit %[1]d
SecRequestBodyLimitAction ProcessPartial
SecRequestBodyJsonDepthLimit 64
SecArgumentsLimit %[2]d
SecUploadKeepFiles Off
SecResponseBodyAccess Off
SecAuditEngine Off
SecRule REQUEST_HEADERS:Content-Type "@rx ^(?:application(?:/soap\+|/)|text/)xml" "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQUEST_HEADERS:Content-Type "@rx ^application/[a-z0-9.-]+[+]json" "id:200006,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule INBOUND_DATA_ERROR "@eq 0" "id:200002,phase:2,t:none,log,deny,status:403,msg:'The request body cannot be parsed',chain"
  SecRule REQBODY_ERROR "!@eq 0" "t:none"
SecRule INBOUND_DATA_ERROR "@eq 0" "id:200003,phase:2,t:none,log,deny,status:403,msg:'The multipart body is malformed',chain"
  SecRule MULTIPART_STRICT_ERROR "!@eq 0" "t:none"
SecRule ARGUMENTS_LIMIT_REACHED "@eq 1" "id:%[3]d,phase:2,t:none,log,%[5]s,status:403,msg:'More arguments than are inspected'"
SecRule INBOUND_DATA_ERROR "@eq 1" "id:%[4]d,phase:2,t:none,log,%[5]s,status:403,msg:'A longer body than is inspected'"
`, o.MaxBody, o.MaxArguments, ruleArguments, ruleOversize, map[bool]string{true: "deny", false: "pass"}[o.BlockOversize])
	if o.CoreRules {
		fmt.Fprintf(&b, `
SecDefaultAction "phase:1,log,noauditlog,pass"
SecDefaultAction "phase:2,log,noauditlog,pass"
SecAction "id:900990,phase:1,pass,t:none,nolog,setvar:tx.crs_setup_version=4250"
SecAction "id:900000,phase:1,pass,t:none,nolog,setvar:tx.blocking_paranoia_level=%[1]d,setvar:tx.detection_paranoia_level=%[1]d"
SecAction "id:900110,phase:1,pass,t:none,nolog,setvar:tx.inbound_anomaly_score_threshold=%[2]d,setvar:tx.outbound_anomaly_score_threshold=%[3]d"
SecRule &TX:allowed_methods "@eq 0" "id:900200,phase:1,pass,t:none,nolog,setvar:'tx.allowed_methods=GET HEAD POST OPTIONS PUT PATCH DELETE'"
Include @owasp_crs/*.conf
`, o.Paranoia, o.Inbound, o.Outbound)
	}
	for _, id := range o.Exclude {
		b.WriteString("SecRuleRemoveById " + strconv.Itoa(id) + "\n")
	}
	return b.String()
}
