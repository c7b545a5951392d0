package configs

import (
	_ "embed"
	"slices"
)

//go:embed schema.json
var jsonSchema []byte

// JSONSchema is the language as a JSON Schema (2020-12), for editors: keys with their manual, types, defaults, enumerations and bounds. A file that it accepts can still be refused by
// Load, which sees what leads where; one that it refuses is refused by Load too.
func JSONSchema() []byte { return slices.Clone(jsonSchema) }
