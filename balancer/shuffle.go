package balancer

// shuffle is a permutation of 0..99, evaluated at one point and stored nowhere:
// a Feistel network on two decimal digits. A stored table would have to be filled
// per block, under a lock or by every core.
//
// Eight rounds: a balanced network is a pseudorandom permutation from four on
// (Luby and Rackoff 1988), and on a domain this small the rest is margin; the
// tests hold single places and pairs to uniformity.
type shuffle uint64

const shuffleRounds = 8

// at returns the image of x, 0 ≤ x < 100.
func (s shuffle) at(x uint64) uint64 {
	left, right := x/10, x%10
	for round := range uint64(shuffleRounds) {
		// One word per round holds the round function whole, six bits for each digit.
		// It does not depend on the digits, so the words are computed side by side.
		word := mix(uint64(s) + round*golden)
		left, right = right, left+(word>>(6*right)&63)*10>>6
		if right >= 10 {
			right -= 10
		}
	}
	return left*10 + right
}
