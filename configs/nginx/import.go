package nginx

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
)

// Options is what a configuration is translated with.
type Options struct {
	// Files reads the configuration; nil: this machine's disk.
	Files Files
	// Prefix is the folder that relative paths of root and logs start at, nginx's -p. Default: the folder of the file.
	Prefix string
}

// Result is a configuration translated.
type Result struct {
	TOML   []byte
	Report Report
}

// Import translates the configuration in a file. The error is an *Error with a position where nginx would not start with it, and ErrNothing, beside a Result with
// the report alone, where nothing of it could be carried over.
func Import(name string, opts Options) (*Result, error) {
	if opts.Files == nil {
		opts.Files = disk{}
	}
	name = filepath.ToSlash(name)
	if opts.Prefix == "" {
		opts.Prefix = path.Dir(name)
	}
	root, err := parse(opts.Files, name)
	if err != nil {
		return nil, err
	}
	im := &importer{
		root: root, dir: path.Dir(name), prefix: opts.Prefix, taken: map[string]unique{}, upstreams: map[string]*directive{}, splits: map[string]*directive{},
		headersByID: map[string]string{}, limitsByID: map[string]string{}, authsByID: map[string]string{}, accessByID: map[string]string{}, routesAt: map[string]*route{},
	}
	im.run()
	im.verdicts(root)
	res := &Result{Report: reportOf(root)}
	if len(im.doc.routes) == 0 || len(im.doc.listeners) == 0 {
		return res, ErrNothing
	}
	res.TOML = im.doc.write(im.head(name, res.Report))
	return res, nil
}

// ErrNothing says that no listener or no route came out: a file without either is none that Weir takes.
var ErrNothing = errors.New("nothing that Weir could serve: no listener, or no location that could be translated")

// importer is one import under way.
type importer struct {
	root, http  *directive
	dir, prefix string // what relative paths start at: certificates and password files, and the rest
	doc         document
	taken       map[string]unique // names given, by kind
	upstreams   map[string]*directive
	splits      map[string]*directive // split_clients by variable, with "$"
	headersByID map[string]string
	limitsByID  map[string]string
	authsByID   map[string]string
	accessByID  map[string]string
	routesAt    map[string]*route // by host and path
	servers     []*server
}

// run goes from what others refer to, to what refers to it.
func (im *importer) run() {
	im.http = im.root.last("http")
	if im.http == nil {
		im.http = im.root // a file of sites-available, which http includes
	}
	for _, h := range im.root.all("http") {
		exact(h)
	}
	for _, u := range im.http.all("upstream") {
		im.upstreams[u.arg(0)] = u
	}
	for _, s := range im.http.all("split_clients") {
		im.splits[s.arg(1)] = s
	}
	for _, d := range im.http.all("server") {
		im.servers = append(im.servers, im.newServer(d))
	}
	im.planes()
	im.listeners()
	im.global()
	for _, s := range im.servers {
		if !s.skipped {
			im.server(s)
		}
	}
	im.refuseWhereNothing()
	im.doc.prune()
	im.pruneTLS()
}

func (im *importer) unique(kind, want string) string {
	if im.taken[kind] == nil {
		im.taken[kind] = unique{}
	}
	return im.taken[kind].name(want)
}

// path is a path of the configuration as it is in the result: absolute, because that may lie elsewhere. of is the folder that relative ones start at.
func (im *importer) path(of, name string) string {
	name = filepath.ToSlash(name)
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	joined := path.Join(of, name)
	if !path.IsAbs(joined) {
		if whole, err := filepath.Abs(joined); err == nil {
			return filepath.ToSlash(whole)
		}
	}
	return joined
}

// head is the comment at the beginning of the result.
func (im *importer) head(name string, r Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Made from %s by weir import nginx: %s.\n", oneLine(path.Base(name)), r.Summary())
	b.WriteString("# A comment behind a table names the lines that it comes from. Weir's headers = \"basic\" (nosniff, Referrer-Policy, HSTS on TLS) is off here, because nginx adds nothing by itself.\n")
	if r.Count(NotTranslated) > 0 {
		b.WriteString("# What is not translated is in the report, with its reason; where a location could not be, its requests are refused (403) and not sent elsewhere.\n")
	}
	return b.String()
}
