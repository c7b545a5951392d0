package shadow

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

const masked = "(masked)"

// shownRunes is how much of a value a sample shows.
const shownRunes = 48

// words are parts of names that secrets go by, once hyphens, underscores and dots are gone.
var words = [...]string{
	"password", "passwd", "passphrase", "secret", "token", "apikey", "authorization", "xauth", "cookie", "session", "credential", "privatekey", "accesskey", "signature", "csrf", "jwt",
	"creditcard", "cardnumber",
}

// names are those that are too short to be looked for within others.
var names = [...]string{"auth", "pwd", "pass", "otp", "pin", "cvv", "cvc", "ssn", "iban", "sig"}

// secretive reports a name by which secrets go.
func secretive[T ~[]byte | ~string](name T) bool {
	folded := make([]byte, 0, 64)
	for i := 0; i < len(name) && len(folded) < 256; i++ {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.' || c == ' ':
		case 'A' <= c && c <= 'Z':
			folded = append(folded, c+('a'-'A'))
		default:
			folded = append(folded, c)
		}
	}
	text := string(folded)
	for _, n := range names {
		if text == n {
			return true
		}
	}
	for _, w := range words {
		for i := 0; i+len(w) <= len(text); i++ {
			if text[i:i+len(w)] == w {
				return true
			}
		}
	}
	return false
}

// absent stands for a value that one document does not have.
type absent struct{}

// show is a value as a sample has it: its kind, and as much of it as says nothing about anybody.
func (r *Rules) show(v any, secret bool) string {
	if secret {
		if _, gone := v.(absent); gone {
			return "absent"
		}
		return masked
	}
	switch v := v.(type) {
	case absent:
		return "absent"
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return shorten(v.String())
	case string:
		return r.text(v)
	case []any:
		return fmt.Sprintf("array of %d", len(v))
	case map[string]any:
		return fmt.Sprintf("object of %d", len(v))
	}
	return "?"
}

// text is a string as a sample has it.
func (r *Rules) text(s string) string {
	if r.ShowStrings {
		return strconv.QuoteToGraphic(shorten(s))
	}
	return fmt.Sprintf("string(%d)", utf8.RuneCountInString(s))
}

func shorten(s string) string {
	n := 0
	for i := range s {
		if n++; n > shownRunes {
			return s[:i] + "…"
		}
	}
	return s
}
