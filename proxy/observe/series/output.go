package series

import (
	"compress/gzip"
	"io"
	"runtime"
	"unicode/utf8"
)

// sheet is how much is written at a time, in bytes: half a millisecond's work at most, after which others come first. It is not less because on a machine
// that has more to do than it can, giving way costs the wait for a processor, and a scrape of 16 MB has to end before its scraper gives up.
const sheet = 256 << 10

// output is where one scrape is written: a sheet of text, which is packed where the scraper takes that, and then sent. It implements what expfmt's
// encoders write to without a buffer of their own.
type output struct {
	to   io.Writer
	turn chan struct{} // holds a token while a scrape renders: scrapes use one core at most, and none of it while they wait for their scraper

	buffer []byte
	whole  []byte       // a family in protobuf, which begins with its length
	zip    *gzip.Writer // writes to packed; made when the first scraper wants it
	packed []byte
	zipped bool

	err error // of the scraper
}

// begin readies o for a scrape. It has the turn from then on.
func (o *output) begin(to io.Writer, turn chan struct{}, zipped bool) {
	turn <- struct{}{}
	o.to, o.turn, o.zipped, o.err = to, turn, zipped, nil
	o.buffer, o.packed = o.buffer[:0], o.packed[:0]
	if !zipped {
		return
	}
	if o.zip == nil {
		// The fastest level: on this text it is 15 times as fast as the default one and makes a quarter more.
		o.zip, _ = gzip.NewWriterLevel((*packer)(o), gzip.BestSpeed) // fails for unknown levels only
	}
	o.zip.Reset((*packer)(o))
}

// more passes on what is a sheet by now, and reports whether somebody reads it.
func (o *output) more() bool {
	if len(o.buffer) < sheet {
		return true
	}
	if o.zipped {
		_, _ = o.zip.Write(o.buffer) // packer takes everything
		o.buffer = o.buffer[:0]
	}
	o.pass(sheet)
	return o.err == nil
}

// end sends the rest.
func (o *output) end() {
	if o.err != nil {
		return
	}
	if o.zipped {
		_, _ = o.zip.Write(o.buffer)
		_ = o.zip.Close()
		o.buffer = o.buffer[:0]
	}
	o.pass(1)
}

// release gives the turn away.
func (o *output) release() {
	<-o.turn
	o.to, o.turn = nil, nil
}

// pass sends what is ready where it is enough, and lets other scrapes and whoever waits for a processor go first.
func (o *output) pass(enough int) {
	ready := &o.buffer
	if o.zipped {
		ready = &o.packed
	}
	<-o.turn
	if len(*ready) >= enough {
		_, o.err = o.to.Write(*ready)
		*ready = (*ready)[:0]
	}
	runtime.Gosched()
	o.turn <- struct{}{}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.buffer = append(o.buffer, p...)
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (o *output) WriteString(s string) (int, error) {
	o.buffer = append(o.buffer, s...)
	return len(s), nil
}

// WriteByte implements io.ByteWriter.
func (o *output) WriteByte(c byte) error {
	o.buffer = append(o.buffer, c)
	return nil
}

// WriteRune completes what expfmt asks for.
func (o *output) WriteRune(r rune) (int, error) {
	before := len(o.buffer)
	o.buffer = utf8.AppendRune(o.buffer, r)
	return len(o.buffer) - before, nil
}

// packer takes what gzip writes, in pieces of some bytes.
type packer output

// Write implements io.Writer.
func (p *packer) Write(b []byte) (int, error) {
	p.packed = append(p.packed, b...)
	return len(b), nil
}
