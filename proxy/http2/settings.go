package http2

import "encoding/binary"

// Settings (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
const (
	settingTable           = 0x1
	settingPush            = 0x2
	settingMaxStreams      = 0x3
	settingWindow          = 0x4
	settingFrame           = 0x5
	settingMaxHeads        = 0x6
	settingExtendedConnect = 0x8
	settingNoPriorities    = 0x9
)

func appendSetting(b []byte, id uint16, v uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), v)
}

func (c *Conn) takeSettings(f *frame) *connError {
	switch {
	case f.stream != 0:
		return failStreamZero
	case f.has(flagAck):
		if len(f.payload) != 0 {
			return failFrameSize
		}
		if c.unacked == 0 {
			return c.spend(FloodSettings)
		}
		c.unacked--
		return nil
	case len(f.payload)%6 != 0:
		return failFrameSize
	}
	for p := f.payload; len(p) > 0; p = p[6:] {
		if fault := c.apply(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); fault != nil {
			return fault
		}
	}
	if c.client != nil {
		c.client.heard()
	}
	c.out.settingsAck()
	return c.spend(FloodSettings)
}

func (c *Conn) apply(id uint16, v uint32) *connError {
	switch id {
	case settingTable:
		c.heads().resize(v)
	case settingPush, settingExtendedConnect, settingNoPriorities:
		if v > 1 || v == 1 && id == settingPush && c.client != nil { // RFC 9113 §6.5.2: a server must not
			return failSetting
		}
	case settingMaxStreams:
		if c.client != nil {
			c.client.limit = int(min(v, maxWindow))
		}
	case settingWindow:
		if v > maxWindow {
			return failSettingSize
		}
		return c.shiftWindows(int64(v))
	case settingFrame:
		if v < frameSize || v > 1<<24-1 {
			return failSetting
		}
	}
	return nil
}

// shiftWindows is RFC 9113 §6.9.2: a new initial window changes those of all streams by the difference, below zero too.
func (c *Conn) shiftWindows(window int64) *connError {
	diff := window - c.peer.window
	c.peer.window = window
	for _, s := range c.live {
		if s.sendWin += diff; s.sendWin > maxWindow {
			return failWindow
		}
		if diff > 0 {
			s.canSend.Signal()
		}
	}
	return nil
}

func (c *Conn) heads() *encoder {
	if c.encoder == nil {
		c.encoder = new(encoder)
		c.encoder.init()
	}
	return c.encoder
}
