package configs

// The bounds of what a connection may keep in memory for one head: http1's larger block, and the least that holds what browsers send.
const (
	mostHeader  Size = 32 << 10
	leastHeader Size = 1 << 10
)

// listenerSizes checks what bounds a request head.
func (c checker) listenerSizes(l Listener, path string) {
	header, uri := joinKey(path, "max_header"), joinKey(path, "max_uri")
	if c.bad(header) {
		return
	}
	if l.MaxHeader < leastHeader || l.MaxHeader > mostHeader {
		c.value(header, "max_header %s must be from %s to %s", l.MaxHeader, leastHeader, mostHeader)
		return
	}
	if c.bad(uri) || !c.pos.has(uri) || l.MaxURI > 0 && l.MaxURI <= l.MaxHeader {
		return
	}
	c.value(uri, "max_uri %s must be from 1B to max_header, which is %s", l.MaxURI, l.MaxHeader)
}
