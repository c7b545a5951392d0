package http2

import "sync"

// Two sizes of blocks: small holds most request bodies of APIs, large is one frame of the largest size we take, and half of what is gathered for one write.
const (
	smallBlock = 4 << 10
	largeBlock = 16 << 10
	outBlock   = 32 << 10
)

// block is a piece of a request body: unread bytes are buf[r:w].
type block struct {
	buf  []byte
	r, w int
	next *block
}

// The pools are memory only, no state: what they hold may vanish at any time.
var (
	smallBlocks = sync.Pool{New: func() any { return &block{buf: make([]byte, smallBlock)} }}
	largeBlocks = sync.Pool{New: func() any { return &block{buf: make([]byte, largeBlock)} }}
	outBlocks   = sync.Pool{New: func() any { return new([outBlock]byte) }}
)

func borrow(n int) *block {
	pool := &largeBlocks
	if n <= smallBlock {
		pool = &smallBlocks
	}
	b := pool.Get().(*block)
	b.r, b.w, b.next = 0, 0, nil
	return b
}

// giveBack returns a block to its pool. The caller keeps no slice of it.
func giveBack(b *block) {
	if len(b.buf) == smallBlock {
		smallBlocks.Put(b)
		return
	}
	largeBlocks.Put(b)
}
