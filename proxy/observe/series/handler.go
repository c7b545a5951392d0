package series

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
)

// scrapeTime bounds a scrape: three times what Prometheus waits for one by default. A scraper that reads slower than that keeps no place from others.
const scrapeTime = 30 * time.Second

// result is what became of a scrape.
type result uint8

const (
	scraped result = iota
	partial
	busy
	aborted
	results
)

var resultNames = [results]string{"ok", "partial", "busy", "aborted"}

// ServeHTTP answers a scrape in the format and the coding that it asks for; name[] in the query chooses families. A collector that fails costs its own
// series only.
func (e *Exposition) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case e.places <- struct{}{}:
		defer func() { <-e.places }()
	default:
		e.count[busy].Inc()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "as many scrapes as may be are being served", http.StatusServiceUnavailable)
		return
	}
	a := answer{format: negotiate(r.Header), zipped: acceptsGzip(r.Header), names: r.URL.Query()["name[]"]}
	h := w.Header()
	h.Set("Content-Type", string(a.format))
	h.Add("Vary", "Accept, Accept-Encoding")
	if a.zipped {
		h.Set("Content-Encoding", "gzip")
	}
	if r.Method == http.MethodHead {
		return
	}
	// net/http sets the server's own deadline again with the next request. Where the connection cannot have any, the server's is in force.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeTime))
	o := e.take()
	defer e.giveBack(o)
	failed := e.write(o, w, a)
	switch {
	case o.err != nil:
		e.count[aborted].Inc()
	case failed != nil:
		e.count[partial].Inc()
	default:
		e.count[scraped].Inc()
	}
}

// negotiate chooses the format. Protobuf alone has native histograms, and a scraper that can read them asks for it first.
func negotiate(h http.Header) expfmt.Format {
	return expfmt.NegotiateAccept(h, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtProtoDelim, expfmt.FmtText)
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3) as far as it decides about gzip.
func acceptsGzip(h http.Header) bool {
	accepts := false
	for _, line := range h.Values("Accept-Encoding") {
		for part := range strings.SplitSeq(line, ",") {
			coding, parameters, _ := strings.Cut(part, ";")
			refused := strings.Trim(strings.TrimPrefix(strings.ReplaceAll(parameters, " ", ""), "q="), "0.") == "" && parameters != ""
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused
			case "*":
				accepts = !refused
			}
		}
	}
	return accepts
}
