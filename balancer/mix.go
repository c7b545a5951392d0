package balancer

import "math/bits"

// golden is 2^64 divided by the golden ratio, made odd: the increment of
// splitmix64, so that consecutive tickets become well spread states.
const golden = 0x9e3779b97f4a7c15

// mix is the splitmix64 step (Steele, Lea, Flood, "Fast splittable pseudorandom
// number generators", 2014): a bijection whose output for consecutive inputs
// passes BigCrush, which is what lets a plain counter serve as a ticket.
func mix(x uint64) uint64 {
	x += golden
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit maps 64 random bits to [0,1) with the 53 bits that a float64 holds.
func unit(x uint64) float64 { return float64(x>>11) * 0x1p-53 }

// below maps 64 random bits to [0,n) by multiplication (Lemire 2019, without the
// rejection: for the n used here, under 2^32, the bias is under 2^-32).
func below(x uint64, n uint64) uint64 {
	hi, _ := bits.Mul64(x, n)
	return hi
}
