package files

import (
	"slices"
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Options say how a tree is served. Names are relative to its root.
type Options struct {
	Index    string        // what a folder is answered with; it has no slash
	Fallback string        // the page of addresses that only a script on it understands; "": none
	MaxAge   time.Duration // how long files may be kept whose name says nothing of their content; 0: asked for each time
	Private  bool          // not everybody may have the files: caches that many share must not keep them
}

// Site is a tree and how it is served. It is a value: nothing in it changes.
type Site struct {
	tree    *Tree
	options Options
	keep    [keepCount]string
}

// New makes a site of a tree, which must live longer.
func New(t *Tree, o Options) *Site {
	s := &Site{tree: t, options: o}
	s.keep = [...]string{keepNot: "no-cache", keepRest: "no-cache", keepFirm: "max-age=31536000, immutable"} // RFC 8246; a year is for ever
	if seconds := int64(o.MaxAge / time.Second); seconds > 0 {
		s.keep[keepRest] = "max-age=" + strconv.FormatInt(seconds, 10)
	}
	for i := range s.keep {
		if o.Private {
			s.keep[i] = "private, " + s.keep[i]
		}
	}
	return s
}

// Disk is where whoever reads a found file takes turns.
func (s *Site) Disk() *Disk { return s.tree.disk }

// Found is what a request is answered with: an open file, which the finder closes, or a redirect.
type Found struct {
	File     *File  // nil: the client is sent to the same path with a slash behind it
	Name     string // relative to the root; of a compressed sibling the sibling's
	Size     int64
	Modified time.Time
	Type     string // media type
	Coding   string // content coding, "" for none
	Keep     string // Cache-Control
	Varies   bool   // by Accept-Encoding
	Fallback bool   // the page for what is not there, which varies by Accept too
	tag      [64]byte
	tagged   int
}

// Find looks for what path (canonical, RFC 3986 form) asks for. The error is *Error.
func (s *Site) Find(path []byte, h *message.Header, now time.Time) (Found, error) {
	name, slash, ok := nameOf(path)
	if !ok {
		return Found{}, errRefused
	}
	if err := s.tree.disk.Enter(); err != nil {
		return Found{}, err
	}
	defer s.tree.disk.Leave()
	dir, err := s.tree.hold(now)
	if err != nil {
		return Found{}, err
	}
	defer s.tree.release(dir)
	f, why := s.look(dir, &name, slash)
	fallback := false
	if why != nil && why.Why == Missing && s.options.Fallback != "" && !isAsset(extension(name)) && AcceptsPage(h) {
		name, fallback = s.options.Fallback, true
		f, why = dir.file(name)
	}
	switch {
	case why != nil:
		return Found{}, why
	case f == nil:
		return Found{Name: name, Keep: s.keep[keepNot]}, nil
	}
	ext := extension(name)
	found := Found{File: f, Name: name, Size: f.size, Modified: f.modified, Type: typeOf(ext), Keep: s.keep[keepingOf(name, ext)], Fallback: fallback}
	if fallback {
		found.Keep = s.keep[keepNot]
	}
	if found.Type == "" {
		found.Type = unknownType
	}
	if found.Varies = textType(ext) != ""; found.Varies {
		found.compressed(dir, h)
	}
	found.mark(now)
	return found, nil
}

// look opens the file, or the index of the folder, and makes name the one that was opened. Without a file and without an error the client has asked for a folder as if it were a file;
// a folder without an index is not told from nothing.
func (s *Site) look(dir *handle, name *string, slash bool) (*File, *Error) {
	if !slash {
		f, err := dir.open(*name)
		if err != nil || !f.folder {
			return f, err
		}
		_ = f.Close()
	}
	index := s.options.Index
	if *name != "" {
		index = *name + "/" + index
	}
	f, err := dir.file(index)
	switch {
	case err != nil:
		return nil, err
	case !slash:
		_ = f.Close()
		return nil, nil
	}
	*name = index
	return f, nil
}

// staleAfter is how much older than its file a compressed sibling may be: copying a folder gives both the time of their copy, in any order. An older one was made of what the file was
// before, by somebody who forgot it.
const staleAfter = time.Minute

// compressed goes over to the sibling that the client likes best.
func (f *Found) compressed(dir *handle, h *message.Header) {
	e := message.AcceptedEncoding(h)
	left := [...]message.Coding{message.Zstd, message.Brotli, message.Gzip}
	for codings := left[:]; ; {
		best := e.Best(codings)
		if best < 0 {
			return
		}
		coding := codings[best]
		codings = slices.Delete(codings, best, best+1)
		name := f.Name + ending(coding)
		sibling, err := dir.file(name)
		if err != nil {
			continue // whatever it is: the file itself is there
		}
		if f.Modified.Sub(sibling.modified) > staleAfter {
			_ = sibling.Close()
			continue
		}
		_ = f.File.Close()
		f.File, f.Name, f.Size, f.Modified, f.Coding = sibling, name, sibling.size, sibling.modified, coding.String()
		return
	}
}

// ending is what the names of siblings in a coding end in.
func ending(c message.Coding) string { return [message.Codings]string{".zst", ".br", ".gz"}[c] }

// Close closes the file. A Found that is empty or closed has none.
func (f *Found) Close() {
	if f.File != nil {
		_ = f.File.Close() // it was only read
		f.File = nil
	}
}

// Changed reports a file that was shortened or written anew since it was found. One that has grown has its beginning still: a log.
func (f *Found) Changed() bool {
	var now stat
	_, err := f.File.look(&now)
	return err != nil || now.size < f.Size || now.size == f.Size && !now.modified.Equal(f.Modified)
}
