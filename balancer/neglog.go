package balancer

import "math"

// negLog is -ln(u) for the u in (0,1) that the top 52 bits of h stand for.
//
// It exists because rendezvous scores decide which group a client belongs to,
// on every replica alike, and math.Log is assembly on some machines while the
// compiler may fuse x*y+z into one rounding on others. Here every product is
// rounded by an explicit conversion, which the language forbids to fuse, so the
// result is the same bits everywhere.
//
// u = m·2^e with m in [√½,√2), s = (m-1)/(m+1), so |s| ≤ 0.1716, and
// ln m = 2s(1 + s²/3 + s⁴/5 + …). The series stops at s²⁰/21: the first term left
// out is under 0.0295¹¹/23 ≈ 6e-19, below half an ulp.
func negLog(h uint64) float64 {
	// The half step keeps u off 0 and 1. 52 bits and the half fit a float64 exactly.
	u := (float64(h>>12) + 0.5) * 0x1p-52
	b := math.Float64bits(u)
	e := int(b>>52) - 1023
	m := math.Float64frombits(b&(1<<52-1) | 1023<<52)
	if m > math.Sqrt2 {
		m /= 2
		e++
	}
	s := (m - 1) / (m + 1)
	q := float64(s * s)
	z := float64(q * q)
	// Even and odd terms apart: two short chains run side by side.
	even := 1.0/17 + float64(z*(1.0/21))
	even = 1.0/13 + float64(z*even)
	even = 1.0/9 + float64(z*even)
	even = 1.0/5 + float64(z*even)
	even = 1 + float64(z*even)
	odd := 1.0/15 + float64(z*(1.0/19))
	odd = 1.0/11 + float64(z*odd)
	odd = 1.0/7 + float64(z*odd)
	odd = 1.0/3 + float64(z*odd)
	r := even + float64(q*odd)
	return float64(-float64(e)*math.Ln2) - float64(2*s*r)
}
