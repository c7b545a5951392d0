package peer

import (
	"encoding/json"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gostd"
)

// goStd is the configuration file of Go's standard stack; it knows a single origin and no access log.
func (j Job) goStd() string {
	c := gostd.Config{Listen: j.Listen.String(), Origin: j.Origins[0].String(), H2: j.H2}
	if j.TLS != nil {
		c.Cert, c.Key = j.TLS.Cert, j.TLS.Key
	}
	text, _ := json.Marshal(c) // strings and a bool: nothing that could fail
	return string(text)
}
