package series

import (
	"slices"
	"strings"
	"sync"
)

// Options name a family.
type Options struct {
	Name string // as it is scraped, a counter's with _total
	Help string
	// Labels are at least one, in the order in which With and Delete take their values.
	Labels []string
}

// vec is a family's children by the values of their labels.
type vec[T any] struct {
	name, help string
	labels     []string // sorted, as scrapes write them
	order      []int    // for each of labels, which of the values given it is

	// mu guards what follows. It is held for map work when a child comes or goes, and by a scrape for a copy of pointers at most, and only after the
	// children have changed.
	mu     sync.Mutex
	byText map[string]*child[T]
	list   []*child[T] // as they came; nil where one has gone
	holes  int
	view   []*child[T] // list without holes, never written to once it is made; nil when the children have changed since
}

// child is one series. It is immutable but for its place, and for what value points to.
type child[T any] struct {
	text   string   // the labels as text formats write them: a="1",b="2"
	values []string // of the sorted labels
	value  *T
	at     int // in list; guarded by vec.mu
}

func newVec[T any](o Options) *vec[T] {
	v := &vec[T]{name: o.Name, help: o.Help, labels: slices.Sorted(slices.Values(o.Labels)), byText: map[string]*child[T]{}}
	for _, l := range v.labels {
		v.order = append(v.order, slices.Index(o.Labels, l))
	}
	return v
}

// With returns the child with these values, made at 0 when there is none. It is not for requests: hold on to what it returns.
func (v *vec[T]) With(values ...string) *T {
	sorted, text := v.render(values)
	v.mu.Lock()
	defer v.mu.Unlock()
	if c, ok := v.byText[text]; ok {
		return c.value
	}
	c := &child[T]{text: text, values: sorted, value: new(T), at: len(v.list)}
	v.byText[text] = c
	v.list = append(v.list, c)
	v.view = nil
	return c.value
}

// Delete ends the export of the child with these values; whoever holds it can go on using it.
func (v *vec[T]) Delete(values ...string) {
	_, text := v.render(values)
	v.mu.Lock()
	defer v.mu.Unlock()
	c, ok := v.byText[text]
	if !ok {
		return
	}
	delete(v.byText, text)
	v.list[c.at] = nil
	v.view = nil
	if v.holes++; v.holes > len(v.list)/2 { // so that n deletions cost n, and the order stays
		v.list, v.holes = v.compactLocked(), 0
		for i, c := range v.list {
			c.at = i
		}
	}
}

// Len is how many children there are.
func (v *vec[T]) Len() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.byText)
}

// children are those there are now, in the order in which they came.
func (v *vec[T]) children() []*child[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.view == nil {
		v.view = v.compactLocked()
	}
	return v.view
}

func (v *vec[T]) compactLocked() []*child[T] {
	list := make([]*child[T], 0, len(v.list)-v.holes)
	for _, c := range v.list {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// render sorts the values as their labels are, and writes both. The text is also the key: two lists of values never have the same.
func (v *vec[T]) render(values []string) (sorted []string, text string) {
	var b []byte
	for i, name := range v.labels {
		// Labels are UTF-8 in every format, and a configuration need not be.
		value := strings.ToValidUTF8(values[v.order[i]], "\uFFFD")
		sorted = append(sorted, value)
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, name...), '=', '"')
		b = append(appendEscaped(b, value, true), '"')
	}
	return sorted, string(b)
}

// appendEscaped writes a label's value (quoted) or a help text, in which quotes stand for themselves in the text format and may be escaped in OpenMetrics.
func appendEscaped(b []byte, s string, quoted bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, '\\', '\\')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '"' && quoted:
			b = append(b, '\\', '"')
		default:
			b = append(b, c)
		}
	}
	return b
}
