package http1

import "sync"

// Blocks are the buffers connections borrow while they work. Two sizes: small holds nearly every head and most API answers, large is the
// biggest head we take and the step in which bodies that cannot be spliced are moved.
const (
	smallBlock = 4 << 10
	largeBlock = 32 << 10
)

// The pools are memory only, no state: what they hold may vanish at any time.
var (
	smallBlocks = sync.Pool{New: func() any { return new([smallBlock]byte) }}
	largeBlocks = sync.Pool{New: func() any { return new([largeBlock]byte) }}
)

func borrowSmall() []byte { return smallBlocks.Get().(*[smallBlock]byte)[:] }
func borrowLarge() []byte { return largeBlocks.Get().(*[largeBlock]byte)[:] }

// giveBack returns a block to its pool. The caller keeps no slice of it.
func giveBack(b []byte) {
	switch cap(b) {
	case smallBlock:
		smallBlocks.Put((*[smallBlock]byte)(b[:smallBlock]))
	case largeBlock:
		largeBlocks.Put((*[largeBlock]byte)(b[:largeBlock]))
	}
}
