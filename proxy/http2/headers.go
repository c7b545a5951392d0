package http2

import "encoding/binary"

// maxPieces bounds the CONTINUATION frames of a block: what needs more has made them small on purpose (CVE-2024-27316).
const maxPieces = 16

func (c *Conn) takeHeaders(f *frame) *connError {
	if f.stream == 0 {
		return failStreamZero
	}
	if f.stream&1 == 0 {
		return failStreamID
	}
	if fault := f.unpad(); fault != nil {
		return fault
	}
	if f.has(flagPriority) {
		if len(f.payload) < 5 {
			return failFrameSize
		}
		if binary.BigEndian.Uint32(f.payload)&maxWindow == f.stream {
			return failStreamID // RFC 7540 §5.3.1: depends on itself
		}
		f.payload = f.payload[5:]
	}
	c.blockEnds = f.has(flagEndStream)
	if f.has(flagEndHeaders) {
		return c.takeBlock(f.stream, f.payload)
	}
	if c.pieces == 0 && len(f.payload) == 0 {
		if fault := c.spend(FloodEmpty); fault != nil {
			return fault
		}
	}
	c.blockOf, c.pieces = f.stream, 0
	c.fragments = append(c.fragments[:0], f.payload...)
	return nil
}

func (c *Conn) takeContinuation(f *frame) *connError {
	if c.blockOf == 0 {
		return failContinuation
	}
	c.pieces++
	if c.pieces > maxPieces || len(c.fragments)+len(f.payload) > 2*c.o.Limits.Head {
		c.o.Counters.Floods[FloodContinuation].Add(1)
		return failBlock
	}
	c.fragments = append(c.fragments, f.payload...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	id, block := c.blockOf, c.fragments
	c.blockOf, c.pieces, c.fragments = 0, 0, nil // long blocks are rare: no memory is kept for the next
	c.since.Store(0)
	return c.takeBlock(id, block)
}

// takeBlock acts on a whole header block: a request, trailers, or one for a stream that is no more, which is decoded because the table must stay true.
func (c *Conn) takeBlock(id uint32, block []byte) *connError {
	if c.client != nil {
		return c.client.takeBlock(id, block)
	}
	if id <= c.lastID {
		s := c.find(id)
		switch {
		case s != nil && s.fault == nil && !s.recvDone:
			return c.takeTrailers(s, block)
		case c.wasReset(id):
			return c.late(block)
		}
		return failClosed
	}
	if c.wasReset(id) { // beyond the last stream we said we would take
		return c.late(block)
	}
	c.lastID = id
	limit := c.o.MaxStreams
	if c.open >= limit || len(c.live) >= 2*limit { // handlers may outlive their streams: rapid reset must not multiply them
		if fault := c.skip(block); fault != nil {
			return fault
		}
		c.out.reset(id, RefusedStream)
		c.remember(id)
		if c.open < limit {
			return c.spend(FloodReset) // only resets leave so many handlers behind
		}
		return c.spend(FloodRefused)
	}
	return c.openStream(id, block)
}

// late is a block for a stream whose end the client may not have heard of yet.
func (c *Conn) late(block []byte) *connError {
	if fault := c.skip(block); fault != nil {
		return fault
	}
	return c.spend(FloodUnknown)
}

// skip decodes a block for the table's sake.
func (c *Conn) skip(block []byte) *connError {
	c.decoder.SetEmitEnabled(false)
	fault := c.decode(block)
	c.decoder.SetEmitEnabled(true)
	return fault
}

func (c *Conn) decode(block []byte) *connError {
	if _, err := c.decoder.Write(block); err != nil {
		return failCompression
	}
	if c.decoder.Close() != nil {
		return failCompression
	}
	return nil
}

func (c *Conn) openStream(id uint32, block []byte) *connError {
	s := borrowStream(c)
	h := &c.head
	h.Begin(s.arena, false)
	if fault := c.decode(block); fault != nil {
		giveBackStream(s)
		return fault
	}
	refused, malformed := h.Request(&s.req, c.blockEnds)
	s.arena = h.Arena()
	if malformed != nil {
		giveBackStream(s)
		c.o.Counters.Malformed.Add(1)
		return c.punish(id, ProtocolError)
	}
	if refused != nil {
		c.o.Counters.HeadsRefused.Add(1)
	}
	s.open(id, refused)
	s.prio, s.declared = h.Priority(), h.Length()
	s.protocol, s.scheme = h.Protocol(), h.Scheme()
	s.recvDone = c.blockEnds
	c.live = append(c.live, s)
	c.open++
	c.busy++
	c.o.Counters.Streams.Add(1)
	c.budgets[FloodPriority].refund(allowances[FloodPriority], 4)
	c.budgets[FloodWindow].refund(allowances[FloodWindow], 3)
	c.watcher.arm()
	go s.run()
	return nil
}

// takeTrailers ends a request's body with fields (RFC 9113 §8.1).
func (c *Conn) takeTrailers(s *Stream, block []byte) *connError {
	h := &c.head
	var arena []byte
	if s.client != nil { // its head has memory of its own
		arena = s.arena
	}
	h.Begin(arena, true)
	if fault := c.decode(block); fault != nil {
		return fault
	}
	if s.client != nil {
		s.arena = h.Arena()
	}
	switch {
	case !c.blockEnds || h.Malformed() != nil:
		c.o.Counters.Malformed.Add(1)
		return c.punish(s.id, ProtocolError)
	case h.Refused() != nil:
		return c.punish(s.id, EnhanceYourCalm)
	}
	h.Lines(&s.trailers)
	return c.endBody(s)
}
