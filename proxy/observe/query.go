package observe

import (
	"net/netip"
	"time"
)

// Query chooses among finished requests. Empty fields choose all.
type Query struct {
	Slow, Failed bool // only such
	Service      string
	Route        string
	// Group is one that answered, or that the request was dealt to.
	Group  string
	Method string
	// Path is what paths begin with. Of longer ones than LongestPath the rest is not known.
	Path   string
	Client netip.Prefix
	// Status is one status, or a class of them: 5 for 500 to 599.
	Status int
	// Took is the least time to the end of the response.
	Took time.Duration
	// ID is a request id, cut to what is kept of one.
	ID string
	// Since is the earliest end, ns of the proxy's clock.
	Since int64
	// Limit is how many at most, the last ones; 0: no limit.
	Limit int
}

// LongestPath is how much of a path is kept, in bytes.
const LongestPath = 112

// longestID is the same of a request id.
const longestID = 48

// wants reports whether e is chosen. It allocates nothing.
func (q *Query) wants(e *Recorded) bool {
	return (!q.Slow || e.Slow) && (!q.Failed || e.Failed) && (q.Service == "" || q.Service == e.Service) && (q.Route == "" || q.Route == e.Route) &&
		(q.Group == "" || q.Group == e.Group || q.Group == e.Dealt) && e.End >= q.Since && e.Duration >= q.Took && q.wantsStatus(e.Status) && q.wantsTexts(e)
}

func (q *Query) wantsStatus(status int) bool {
	return q.Status == 0 || q.Status == status || q.Status < 10 && q.Status == status/100
}

func (q *Query) wantsTexts(e *Recorded) bool {
	return (q.Method == "" || q.Method == string(e.method[:e.methodN])) && (len(q.Path) <= int(e.pathN) && q.Path == string(e.path[:len(q.Path)])) &&
		(!q.Client.IsValid() || q.Client.Contains(e.Client)) && (q.ID == "" || q.ID[:min(len(q.ID), longestID)] == string(e.id[:e.idN]))
}
