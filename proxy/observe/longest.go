package observe

import (
	"strconv"
	"unicode/utf8"
)

// LongestField is how much of a text that came from outside is written into a line of an access log, in bytes as they came: the longest request target that a listener takes unless it is told otherwise. What is
// longer ends in "...[cut:N]", N being how many bytes more there were. With every byte written as six, with the target twice, and a head of at most 32 KiB, no line reaches 512 KiB.
const LongestField = 8 << 10

// bounded writes s through escape, or as much of it as may be.
func bounded[S []byte | string](dst []byte, s S, escape func(dst []byte, s S) []byte) []byte {
	if len(s) <= LongestField {
		return escape(dst, s)
	}
	end := LongestField
	for end > LongestField-utf8.UTFMax && !utf8.RuneStart(s[end]) { // a character is kept whole
		end--
	}
	dst = append(escape(dst, s[:end]), "...[cut:"...)
	return append(strconv.AppendInt(dst, int64(len(s)-end), 10), ']')
}
