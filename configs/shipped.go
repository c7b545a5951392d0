package configs

import (
	"embed"
	"io/fs"
)

//go:embed minimal.toml weir.toml
var shipped embed.FS

// Shipped holds the configurations that come with Weir: minimal.toml, the smallest that works, and
// weir.toml, the annotated reference of every key.
func Shipped() fs.FS { return shipped }
