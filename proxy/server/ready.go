package server

import (
	"fmt"
	"strings"

	"github.com/valor-ivx/weir/proxy/admin"
)

// explainReadiness says of the checks config, listeners and not_draining why they fail, for whoever asks with ?verbose, and fails that of listeners when one of them accepts no more though nobody closed it:
// a balancer that asks should send its clients elsewhere.
func explainReadiness(checks []admin.Check, g *generation, stopping bool) {
	if g == nil {
		checks[0].Detail = "no configuration is in force yet"
		checks[1].Detail = "none is open yet"
		return
	}
	if stopping {
		checks[1].Detail = "closed"
		checks[2].Detail = "stopping"
		return
	}
	var deaf []string
	for _, l := range g.sockets {
		select {
		case <-l.done:
			deaf = append(deaf, l.config.Name)
		default:
		}
	}
	if deaf != nil {
		checks[1].OK = false
		checks[1].Detail = fmt.Sprintf("%d of %d accept no connections: %s", len(deaf), len(g.sockets), strings.Join(deaf, ", "))
	}
}
