// Package configs is the configuration language of Weir: one TOML file, read strictly into typed,
// immutable values whose doc comments are the manual (docs/reference.md is generated from them).
//
// It exists so that a bad file never starts and never replaces a good one: every mistake is found in
// one go and reported as FILE:LINE:COL, whether it is syntax, an unknown key, a wrong type, a value out
// of range or a name that leads nowhere.
//
// It refuses to guess. Keys are case-sensitive, sizes and durations carry units, nothing is ignored:
// a key of the contract that no release implements yet is an error (see gate.go). It opens no
// socket, resolves no name, watches no file and knows no other package of Weir.
//
// The way through the package, in order: scan (positions.go) → BurntSushi/toml decode → expand
// ${…} (expand.go) → gate → bind onto the types, defaults first (bind.go) → derive what follows from
// other values (derive.go) → check what only the whole file can tell (check*.go).
package configs
