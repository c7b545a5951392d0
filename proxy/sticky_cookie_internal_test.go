package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"github.com/valor-ivx/weir/proxy/message"
)

// The signature is HMAC-SHA256 as the standard library has it, cut to 128 bits.
func TestStickyCookieSignature(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	c := NewStickyCookie(secret, "api", 7, 3)
	var v visitor
	c.deal(&v)
	text := c.appendTo(nil, &v)
	raw, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil || len(text) != stickyText {
		t.Fatalf("%q: %v", text, err)
	}
	derive := hmac.New(sha256.New, secret)
	derive.Write([]byte("weir sticky cookie 1\x00api"))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(raw[:stickySigned])
	if !hmac.Equal(mac.Sum(nil)[:16], raw[stickySigned:]) {
		t.Errorf("signature %x of %x", raw[stickySigned:], raw[:stickySigned])
	}
	var back visitor
	if !c.read(text, &back) || back.key != v.key || back.round != 3 || back.fresh {
		t.Errorf("read %+v, want %+v", back, v)
	}
}

// Every other text is no cookie: of each bit that is flipped, each length, another service, epoch or secret.
func TestStickyCookieForged(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	c := NewStickyCookie(secret, "api", 7, 3)
	var v visitor
	c.deal(&v)
	text := c.appendTo(nil, &v)
	for i := range text {
		for bit := range 8 {
			forged := append([]byte(nil), text...)
			forged[i] ^= 1 << bit
			if c.read(forged, new(visitor)) {
				t.Errorf("letter %d, bit %d: taken", i, bit)
			}
		}
		if c.read(text[:i], new(visitor)) || c.read(append(append([]byte(nil), text...), text[i]), new(visitor)) {
			t.Errorf("cut or longer by %d: taken", i)
		}
	}
	for name, other := range map[string]*StickyCookie{
		"service": NewStickyCookie(secret, "shop", 7, 3), "epoch": NewStickyCookie(secret, "api", 8, 3), "older epoch": NewStickyCookie(secret, "api", 6, 3),
		"secret": NewStickyCookie([]byte("another"), "api", 7, 3),
	} {
		if other.read(text, new(visitor)) {
			t.Errorf("another %s: taken", name)
		}
	}
	if later := NewStickyCookie(secret, "api", 7, 9); !later.read(text, new(visitor)) {
		t.Error("a later round of drains: refused")
	}
}

// The first valid one counts, whatever stands before it.
func TestStickyCookieAmongOthers(t *testing.T) {
	c := NewStickyCookie([]byte("secret"), "api", 1, 0)
	var v, got visitor
	c.deal(&v)
	good := "weir_api=" + string(c.appendTo(nil, &v))
	var h message.Header
	h.Add("Cookie", "a=b; weir_api=forged")
	h.Add("Cookie", "weir_api="+string(make([]byte, 0))+"; "+good+"; c=d")
	if !c.find(&h, &got) || got.key != v.key {
		t.Errorf("found %+v", got)
	}
}

func FuzzStickyCookie(f *testing.F) {
	c := NewStickyCookie([]byte("secret"), "api", 1, 5)
	var v visitor
	c.deal(&v)
	f.Add(c.appendTo(nil, &v))
	f.Add([]byte(""))
	f.Add(make([]byte, stickyText))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got visitor
		if c.read(text, &got) {
			got.fresh = false
			if again := c.appendTo(nil, &got); string(again) != string(text) {
				t.Errorf("%q is another text for %q", text, again)
			}
		}
	})
}

func TestStickyCookieAllocatesNothing(t *testing.T) {
	c := NewStickyCookie([]byte("secret"), "api", 1, 0)
	var v, got visitor
	c.deal(&v)
	var h message.Header
	h.Add("Cookie", "a=b; weir_api="+string(c.appendTo(nil, &v)))
	if n := testing.AllocsPerRun(100, func() { c.find(&h, &got) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStickyCookie(b *testing.B) {
	c := NewStickyCookie([]byte("secret"), "api", 1, 0)
	var v visitor
	c.deal(&v)
	text := c.appendTo(nil, &v)
	for b.Loop() {
		c.read(text, &v)
	}
}
