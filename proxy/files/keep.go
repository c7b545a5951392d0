package files

import "strings"

// keeping says how long a file may be kept without asking again.
type keeping uint8

const (
	keepNot   keeping = iota // ask each time
	keepRest                 // the tree's max_age
	keepFirm                 // a year, never asking: its content is in its name
	keepCount                // how many there are
)

// keepingOf judges by the name. What names other files, or takes over a browser (a service worker, a manifest), is asked for each time, whatever its own name looks like.
func keepingOf(name, ext string) keeping {
	base := name[strings.LastIndexByte(name, '/')+1:]
	switch {
	case isPage(ext), ext == "webmanifest", base == "manifest.json", isWorker(base):
		return keepNot
	case hashed(base):
		return keepFirm
	}
	return keepRest
}

// isWorker reports the usual names of service workers: one that is kept for long keeps its whole site.
func isWorker(base string) bool {
	switch base {
	case "sw.js", "service-worker.js", "serviceworker.js", "ngsw-worker.js", "ngsw.json":
		return true
	}
	return strings.HasSuffix(base, "-sw.js")
}

// hashed reports that a name holds a hash of its content: one of the parts between its dots, or what follows a hyphen of one, is
//   - 8 to 64 lower-case hex digits, of both kinds ("main.3f2a9c1b.js": webpack, Parcel), or
//   - 8 characters of base32 ("app-4QC3NXIJ.js": esbuild), letters and digits that change twice, or
//   - 8 characters of base64url ("index-B3kZx1qa.js": Vite, Rollup), with upper case, lower case and digits that change four times.
//
// The last part, the extension, is none. Words, dates, versions, the numbers of cameras ("DSC01234"), "3dModels" and UUIDs are no hashes. A hash that happens to look like one of
// these is asked for again like any other file, which costs a 304; the other mistake would cost a year.
func hashed(base string) bool {
	for {
		part, rest, more := strings.Cut(base, ".")
		if !more {
			return false
		}
		if isHash(part) {
			return true
		}
		for i := 0; i < len(part) && !isUUID(part); i++ { // base64url has hyphens of its own: any may be the separator
			if part[i] == '-' && isHash(part[i+1:]) {
				return true
			}
		}
		base = rest
	}
}

// isUUID goes by the hyphens of RFC 9562 §4: what follows the last looks like a hash and is a number.
func isUUID(s string) bool {
	return len(s) >= 36 && s[len(s)-13] == '-' && s[len(s)-18] == '-' && s[len(s)-23] == '-' && s[len(s)-28] == '-'
}

func isHash(s string) bool {
	if len(s) < 8 || len(s) > 64 {
		return false
	}
	var count [4]int // of each kind
	changes, hex, base32 := 0, 0, 0
	for i := range len(s) {
		c := s[i]
		k := kindOf(c)
		if k < 0 {
			return false
		}
		count[k]++
		if i > 0 && kindOf(s[i-1]) != k {
			changes++
		}
		if k == digit || 'a' <= c && c <= 'f' {
			hex++
		}
		if k == upper || '2' <= c && c <= '7' {
			base32++
		}
	}
	switch {
	case count[digit] == 0:
		return false
	case hex == len(s):
		return count[lower] > 0
	case len(s) != 8:
		return false
	case base32 == len(s):
		return count[upper] > 0 && changes >= 2
	}
	return count[lower] > 0 && count[upper] > 0 && changes >= 4
}

// Kinds of characters in hashes.
const (
	digit = iota
	lower
	upper
	mark
)

func kindOf(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return digit
	case 'a' <= c && c <= 'z':
		return lower
	case 'A' <= c && c <= 'Z':
		return upper
	case c == '-' || c == '_':
		return mark
	}
	return -1
}
