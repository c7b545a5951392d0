// Package auth decides who may use a route: by the client's address ([AccessList]) and by what the client knows ([Basic]), has been given ([JWT],
// [MTLS]) or others know of it ([Forward], [OIDC]).
//
// It reads its own files, each anew when told to, and keeps the old contents while the new ones have a mistake. It refuses to answer clients, to count, to
// log and to know routes: it returns a [Verdict], the proxy does the rest. Nothing in it shows a password or a token in an error.
package auth
