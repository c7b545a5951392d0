package observe

import "sync"

// Format is the shape of an access log line.
type Format uint8

// The formats.
const (
	JSON     Format = iota // one object a line, keys of this package's list
	Combined               // nginx's and Apache's combined, byte for byte as nginx writes it
)

// AccessLog writes one line per exchange to a sink. It never changes after construction, is safe for concurrent use, and owns nothing: the sink is
// closed by whoever opened it.
type AccessLog struct {
	encode   func(l *line, e *Entry, r *redactor)
	combined bool
	redact   redactor
	sink     *Sink
	lines    *sync.Pool // of *line
	sample   *sampler   // nil: every line is written
}

// maxPooled bounds the buffers that are kept: an ordinary line is under 1 KiB, and one hostile 64 KiB head must not stay in the pool.
const maxPooled = 16 << 10

// NewAccessLog makes a log of that format. sensitive names query keys (of at most 63 bytes, which is past every real one) whose values are hidden besides the built-in ones (DefaultSensitiveKeys); case,
// '-' against '_' and percent-encoding do not matter.
func NewAccessLog(format Format, sink *Sink, sensitive ...string) *AccessLog {
	l := &AccessLog{
		encode: appendJSON,
		redact: newRedactor(append(DefaultSensitiveKeys(), sensitive...)),
		sink:   sink,
		lines:  &sync.Pool{New: func() any { return newLine() }},
	}
	if format == Combined {
		l.encode, l.combined = appendCombined, true
	}
	return l
}

// Log writes the entry's line. It never blocks on the output and retains nothing of e; a line the sink has no room for is dropped and counted there.
// A nil AccessLog logs nothing: that is access = "off".
func (l *AccessLog) Log(e *Entry) {
	if l == nil {
		return
	}
	mark := ""
	if l.sample != nil && !l.sample.keeps(e) {
		if !l.sample.draws() {
			return
		}
		mark = l.sample.mark
	}
	one := l.lines.Get().(*line)
	l.encode(one, e, &l.redact)
	if mark != "" {
		one.text = append(one.text[:len(one.text)-len("}\n")], mark...)
	}
	l.sink.Append(one.text)
	if cap(one.text) <= maxPooled {
		l.lines.Put(one)
	}
}
