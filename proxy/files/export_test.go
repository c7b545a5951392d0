package files

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Hashed is hashed of a base name.
func Hashed(base string) bool { return hashed(base) }

// NameOf is nameOf.
func NameOf(path []byte) (name string, slash, ok bool) { return nameOf(path) }

// Coding is the coding that a header asks for of a file that has a sibling in each of those; "": the file as it is.
func Coding(h *message.Header, have ...string) string {
	e := acceptable(h)
	var tried [len(codings)]bool
	for j := e.best(&tried); j >= 0; j = e.best(&tried) {
		tried[j] = true
		for _, name := range have {
			if name == codings[j].name {
				return name
			}
		}
	}
	return ""
}

// Uses is how many hold the folder in force, -1 once the tree is closed.
func (t *Tree) Uses() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == nil {
		return -1
	}
	return t.now.uses
}

// Impatient makes the tree's disk one of turns that nobody waits for.
func (t *Tree) Impatient(turns int) { t.disk = newDisk(turns, time.Nanosecond) }

// Walk makes the tree resolve names as on a machine whose kernel does not.
func (t *Tree) Walk() { t.now.walks = true }
