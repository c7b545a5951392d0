package http1

// Limits bound what one message may cost before anything is known about its sender.
type Limits struct {
	Head   int // bytes of a head, request line included
	Target int // bytes of a request target
	Fields int // fields of a head, and of a trailer section
}

// DefaultLimits are what nginx and HAProxy users know: four buffers of 8 KiB for a head, one of them for the target (nginx), about a hundred fields
// (HAProxy's default is 101). Head may not exceed the large block.
func DefaultLimits() Limits { return Limits{Head: 32 << 10, Target: 8 << 10, Fields: 100} }

const (
	trailerLimit   = 8 << 10 // bytes of a trailer section
	chunkLineLimit = 256     // bytes of one chunk-size line, extensions included
	extensionLimit = 8 << 10 // bytes of chunk extensions in one body: they are dropped, so they are only ever cost
)
