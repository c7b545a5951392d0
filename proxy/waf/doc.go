// Package waf judges requests by rules in ModSecurity's language: the OWASP core rule set and an operator's own, evaluated by Coraza. It decides and says why;
// it reads no connection, answers nobody, and keeps nothing of what it was shown. It does not look at response bodies.
package waf
