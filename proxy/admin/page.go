package admin

import (
	"embed"
	"net/http"
	"path"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load its own script and style and talk to this origin, nothing else. There is no
// inline script or style, and the script never builds HTML from text.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// page serves the status page and its files.
func (a *api) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	types := map[string]string{".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
	body, err := pageFiles.ReadFile("page/" + path.Base(name))
	if err != nil {
		problem(http.StatusNotFound, "there is nothing at this path").write(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(name)]+"; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Frame-Options", "DENY")
	// The files change with the binary; a page of the previous one must not stay.
	h.Set("Cache-Control", "no-cache")
	_, _ = w.Write(body)
}
