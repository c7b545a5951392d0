package observe

import (
	"bytes"
	"strings"
)

// hiddenMark stands where a secret was.
const hiddenMark = "REDACTED"

// DefaultSensitiveKeys are the query keys whose values never reach a log: credentials by their common names, and what signs a cloud storage URL.
func DefaultSensitiveKeys() []string {
	return []string{
		"token", "access_token", "id_token", "id_token_hint", "refresh_token", "auth_token", "authtoken", "csrf_token", "jwt", "bearer",
		"code", "code_verifier", "assertion", "client_assertion", "samlresponse", "otp",
		"password", "passwd", "password_confirmation", "new_password", "old_password", "pwd", "pass", "passphrase",
		"secret", "client_secret", "api_key", "apikey", "access_key", "private_key",
		"auth", "authorization", "credentials", "session", "session_id", "sessionid", "sid", "jsessionid", "phpsessid",
		"signature", "sig", "x_amz_signature", "x_amz_credential", "x_amz_security_token", "x_goog_signature", "x_goog_credential",
	}
}

// redactor finds what must not be logged in request targets and referers: the user information of an authority and the values of sensitive keys. It
// never changes after construction.
type redactor struct {
	keys    []string // folded: lower case, '_' for '-'
	lengths uint64   // bit n: some key has n bytes; most keys of a query are refused by it
}

func newRedactor(keys []string) redactor {
	var r redactor
	for _, k := range keys {
		if len(k) > 0 && len(k) < 64 {
			r.keys = append(r.keys, strings.ReplaceAll(strings.ToLower(k), "-", "_"))
			r.lengths |= 1 << len(k)
		}
	}
	return r
}

// append writes url through escape, with every secret replaced. What is too long is cut where it is known to be no password, or part of a value that is hidden whole.
func (r *redactor) append(dst, url []byte, escape func(dst, s []byte) []byte) []byte {
	if start, end := userinfo(url); start < end {
		dst = bounded(dst, url[:start], escape)
		dst = append(dst, hiddenMark...)
		url = url[end:]
	}
	if len(url) > LongestField {
		return bounded(dst, url, func(dst, kept []byte) []byte { return r.appendQuery(dst, kept, escape) })
	}
	return r.appendQuery(dst, url, escape)
}

func (r *redactor) appendQuery(dst, url []byte, escape func(dst, s []byte) []byte) []byte {
	if bytes.IndexByte(url, '=') < 0 {
		return escape(dst, url) // no key has a value
	}
	query := bytes.IndexByte(url, '?')
	for {
		start, end := r.secret(url)
		if start < query && query < end {
			end = query // a parameter of the path, such as ;jsessionid=, ends where the query begins
		}
		dst = escape(dst, url[:start])
		if start == len(url) {
			return dst
		}
		dst = append(dst, hiddenMark...)
		url, query = url[end:], query-end
	}
}

// userinfo is the range before the '@' of the authority, empty when there is none. A target that starts with a slash has no authority.
func userinfo(url []byte) (start, end int) {
	if len(url) == 0 || url[0] == '/' || bytes.IndexByte(url, '@') < 0 {
		return 0, 0
	}
	if i := bytes.Index(url, []byte("://")); i >= 0 {
		start = i + 3
	}
	authority := url[start:]
	if i := bytes.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	if i := bytes.LastIndexByte(authority, '@'); i >= 0 {
		return start, start + i
	}
	return 0, 0
}

// secret is the range of the first sensitive value that is not empty, the empty end when there is none. A key begins behind '?', '&', ';' or '#' (a nested URL's
// query and a fragment count too); its value ends only at '&' or '#', so that no part of a password shows.
func (r *redactor) secret(url []byte) (start, end int) {
	for i := 0; i < len(url); i++ {
		if c := url[i]; c != '?' && c != '&' && c != ';' && c != '#' {
			continue
		}
		equals := i + 1
		for equals < len(url) && strings.IndexByte("=?&;#", url[equals]) < 0 {
			equals++
		}
		if equals == len(url) || url[equals] != '=' || !r.sensitive(url[i+1:equals]) {
			i = equals - 1
			continue
		}
		start, end = equals+1, len(url)
		if n := bytes.IndexAny(url[start:], "&#"); n >= 0 {
			end = start + n
		}
		if start < end {
			return start, end
		}
		i = equals
	}
	return len(url), len(url)
}

// maxKey is longer than any key in the list with a bracketed parent and every byte percent-encoded; the tail decides in longer ones.
const maxKey = 128

// sensitive reports whether a raw query key is in the list: percent-decoded, without case, '-' as '_', and by its last part when it is written
// user[password], password[] or user.password.
func (r *redactor) sensitive(raw []byte) bool {
	var folded [maxKey]byte
	if len(raw) > maxKey {
		raw = raw[len(raw)-maxKey:]
	}
	key := folded[:0]
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' && i+2 < len(raw) && unhex(raw[i+1]) >= 0 && unhex(raw[i+2]) >= 0 {
			c = byte(unhex(raw[i+1])<<4 | unhex(raw[i+2]))
			i += 2
		}
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c == '-':
			c = '_'
		}
		key = append(key, c)
	}
	for len(key) > 0 && (key[len(key)-1] == '[' || key[len(key)-1] == ']') {
		key = key[:len(key)-1]
	}
	for i := len(key) - 1; i >= 0; i-- {
		if key[i] == '[' || key[i] == '.' {
			key = key[i+1:]
			break
		}
	}
	if len(key) >= 64 || r.lengths&(1<<len(key)) == 0 {
		return false
	}
	for _, k := range r.keys {
		if string(key) == k {
			return true
		}
	}
	return false
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
