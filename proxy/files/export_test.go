package files

import "time"

// Hashed is hashed of a base name.
func Hashed(base string) bool { return hashed(base) }

// NameOf is nameOf.
func NameOf(path []byte) (name string, slash, ok bool) { return nameOf(path) }

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
