package http1

// HoldsBuffers reports whether the connection holds any borrowed block.
func (c *ServerConn) HoldsBuffers() bool {
	return c.in.buf != nil || c.out.buf != nil || c.head != nil
}

// Unread is what was read from the connection and belongs to no message yet.
func (c *ServerConn) Unread() []byte { return c.in.buffered() }

// HoldsBuffers reports whether the connection holds any borrowed block.
func (c *ClientConn) HoldsBuffers() bool { return c.in.buf != nil || c.out.buf != nil }

// The sizes and limits that tests stand at the edge of.
const (
	SmallBlock     = smallBlock
	LargeBlock     = largeBlock
	TrailerLimit   = trailerLimit
	ChunkLineLimit = chunkLineLimit
	ExtensionLimit = extensionLimit
	LingerBytes    = lingerBytes
)
