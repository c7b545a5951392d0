package nginx

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// State says what became of a directive.
type State uint8

// What became of a directive, from best to worst.
const (
	Translated    State = iota + 1 // means the same
	Noted                          // translated, or needless, with a note on what differs
	NotTranslated                  // Weir does not do it, or not like this
)

// String is the state in words.
func (s State) String() string {
	switch s {
	case Translated:
		return "translated"
	case Noted:
		return "translated with a note"
	}
	return "not translated"
}

// Entry is a directive of the configuration and what became of it.
type Entry struct {
	Place     string // FILE:LINE:COL
	Directive string // as written, shortened
	State     State
	Note      string // what differs, or why not; empty for Translated
}

// Report is every directive of a configuration, in the order of the files.
type Report []Entry

// Count is how many directives came to that.
func (r Report) Count(s State) int {
	n := 0
	for _, e := range r {
		if e.State == s {
			n++
		}
	}
	return n
}

// Print writes a line for every directive, the worst first within a file's order kept, and the counts last.
func (r Report) Print(w io.Writer) error {
	var b strings.Builder
	for _, e := range r {
		fmt.Fprintf(&b, "%s: %s: %s", e.Place, e.State, e.Directive)
		if e.Note != "" {
			b.WriteString(": " + e.Note)
		}
		b.WriteByte('\n')
	}
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary is the counts in one line.
func (r Report) Summary() string {
	return fmt.Sprintf("%d directives: %d translated, %d translated with a note, %d not translated", len(r), r.Count(Translated), r.Count(Noted), r.Count(NotTranslated))
}

// exact marks directives as translated, unless something worse was said of them.
func exact(list ...*directive) {
	for _, d := range list {
		if d != nil {
			d.mark(Translated, "")
		}
	}
}

// note marks a directive as translated with a remark; without one as translated.
func (d *directive) note(format string, args ...any) {
	if format == "" {
		d.mark(Translated, "")
		return
	}
	d.mark(Noted, fmt.Sprintf(format, args...))
}

// lost marks a directive as not translated.
func (d *directive) lost(format string, args ...any) {
	d.mark(NotTranslated, fmt.Sprintf(format, args...))
}

// mark keeps the worst that was said of a directive, and every remark once: one directive may be in force in many locations.
func (d *directive) mark(s State, note string) {
	if d == nil {
		return
	}
	if s > d.state {
		d.state = s
		if s == NotTranslated {
			d.notes = nil // what is lost has no differences
		}
	}
	note = oneLine(note)
	if note != "" && s == d.state && !slices.Contains(d.notes, note) {
		d.notes = append(d.notes, note)
	}
}

// lostBelow marks all that is in a block as not translated with it.
func (d *directive) lostBelow(format string, args ...any) {
	for _, c := range d.block {
		c.lost(format, args...)
		c.lostBelow(format, args...)
	}
}

// text is the directive as written, on one line.
func (d *directive) text() string {
	s := strings.Join(append([]string{d.name}, d.args...), " ")
	if d.opens {
		s += " {…}"
	}
	return shorten(oneLine(s))
}

// oneLine keeps a text from breaking the report, or a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// reportOf lists a tree. Entries of maps and types count with their block.
func reportOf(root *directive) (r Report) {
	for _, d := range root.block {
		if d.entry {
			continue
		}
		r = append(r, Entry{d.String(), d.text(), d.state, strings.Join(d.notes, "; ")})
		r = append(r, reportOf(d)...)
	}
	return r
}
