package proxy

import (
	"net/netip"

	"github.com/valor-ivx/weir/proxy/message"
)

// Sticky is what a service knows its clients by, so that each stays with its group.
type Sticky struct {
	Source StickySource
	Name   string        // of the header or the application's cookie
	Cookie *StickyCookie // for StickyOwn
}

// StickySource is the kind of a Sticky.
type StickySource uint8

// The sources. With StickyOff requests are dealt one by one.
const (
	StickyOff StickySource = iota
	StickyOwn
	StickyHeader
	StickyCookieOf
	StickyClientIP
)

// Tester sends requests with a header or a cookie to a group whatever the weights say.
type Tester struct {
	Group                     int
	HeaderName, HeaderValue   string // "": no header does
	CookieName, CookieContent string // "": no cookie does
}

// wants reports whether the request asks for the tester's group.
func (t *Tester) wants(h *message.Header) bool {
	if t.HeaderName != "" {
		for i := range h.Len() {
			if f := h.At(i); message.EqualFold(f.Name(), t.HeaderName) && string(f.Value()) == t.HeaderValue {
				return true
			}
		}
	}
	return t.CookieName != "" && string(h.CookieValue(t.CookieName)) == t.CookieContent
}

// Placement is the group that a request is assigned to, and why.
type Placement struct {
	Group  int    // -1: none takes it
	Forced bool   // asked for by a tester: it never fails over, and says nothing about the group's health
	Known  bool   // the client is known by what the service's Sticky says
	Client uint64 // the same for the same client, or the ticket
	visitor
}

// Place assigns a request by its header, its client's address and, where requests are dealt one by one, its number.
func (s *Service) Place(p *Placement, h *message.Header, ip netip.Addr, ticket uint64) {
	if !s.force(p, h, ticket) {
		s.deal(p, h, ip, ticket)
	}
}

func (s *Service) force(p *Placement, h *message.Header, ticket uint64) bool {
	for i := range s.Testers {
		if t := &s.Testers[i]; t.wants(h) {
			p.Group, p.Forced, p.Client = t.Group, true, ticket
			return true
		}
	}
	return false
}

func (s *Service) deal(p *Placement, h *message.Header, ip netip.Addr, ticket uint64) {
	switch s.Sticky.Source {
	case StickyOff:
		p.Group, p.Client = s.Split.ByTicket(ticket), ticket
		return
	case StickyOwn:
		if p.Known = s.Sticky.Cookie.find(h, &p.visitor); !p.Known {
			s.Sticky.Cookie.deal(&p.visitor)
		}
		p.Group, p.Client = s.Incumbents.Of(p.round, s.Split).ByKey(p.key[:]), s.Split.Key(p.key[:])
		return
	}
	var value []byte
	switch s.Sticky.Source {
	case StickyHeader:
		value, _ = h.Get(s.Sticky.Name)
	case StickyCookieOf:
		value = h.CookieValue(s.Sticky.Name)
	}
	p.Known = len(value) > 0 || s.Sticky.Source == StickyClientIP
	var address [16]byte
	if len(value) == 0 { // clients without one are not to share a group, so their address stands in
		value = appendNetwork(address[:0], ip)
	}
	p.Group, p.Client = s.Split.ByKey(value), s.Split.Key(value)
}

// place assigns the exchange to a group. Who asks for one takes no number from those that are dealt, whose shares are exact.
func (x *Exchange) place(c *choice) {
	s, h := x.service, &x.req.Header
	c.key = s.Ticket.Load()
	if s.Testers != nil && s.force(&c.Placement, h, c.key) {
		c.assigned = c.Group
		return
	}
	c.key = s.Ticket.Add(1) - 1
	s.deal(&c.Placement, h, x.who.ip, c.key)
	if c.assigned = c.Group; c.assigned >= 0 {
		s.Groups[c.assigned].Assigned.Add(1)
	}
}

// appendSticky gives a client that is not known yet its cookie, with the answer of an upstream that no cache will give to others: see shareable. A 304 is left alone, it
// says what a stored answer is to look like.
func (x *Exchange) appendSticky(b []byte, resp *message.Response) []byte {
	v := &x.choice.visitor
	if !v.fresh || x.ours || resp.Status == 304 {
		return b
	}
	shared, private := shareable(&resp.Header)
	if shared {
		return b
	}
	c := x.service.Sticky.Cookie
	b = append(b, "Set-Cookie: "...)
	b = append(b, c.name...)
	b = append(b, '=')
	b = c.appendTo(b, v)
	b = append(b, "; Path=/; HttpOnly; SameSite=Lax"...)
	if x.who.secure {
		b = append(b, "; Secure"...)
	}
	b = append(b, "\r\n"...)
	if !private {
		b = append(b, "Cache-Control: private\r\n"...)
	}
	return b
}
