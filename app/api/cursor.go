package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/store"
)

// cursor is a place in a list that a client takes from one page to the next. It is not secret and not signed: another place is another page of one's own list.
type cursor struct {
	Order  string `json:"o"` // of which list: its order and direction
	Text   string `json:"x,omitempty"`
	Time   int64  `json:"t"`
	Seq    int64  `json:"s"`
	Before bool   `json:"b,omitempty"` // the page ends here, else it begins here
	Page   int64  `json:"p,omitempty"` // its number, where pages have numbers
}

// text is nil for no cursor, so that JSON has null for it.
func (c *cursor) text() *string {
	if c == nil {
		return nil
	}
	b, _ := json.Marshal(c) // cannot fail: texts and numbers
	s := base64.RawURLEncoding.EncodeToString(b)
	return &s
}

func cursorAt(order string, p store.Place) *cursor {
	return &cursor{Order: order, Text: p.Text, Time: p.Time, Seq: p.Seq}
}

// place is nil for no cursor.
func (c *cursor) place() *store.Place {
	if c == nil {
		return nil
	}
	return &store.Place{Text: c.Text, Time: c.Time, Seq: c.Seq}
}

// readCursor takes a cursor of a list of this order; "" is none.
func readCursor(text, order string) (*cursor, error) {
	if text == "" {
		return nil, nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || !plain(c.Text) {
		return nil, badCursor("is not one of ours")
	}
	if c.Order != order {
		return nil, badCursor("is of a list in another order: start again without it")
	}
	return &c, nil
}

func badCursor(message string) error {
	return problem(http.StatusUnprocessableEntity, "the query has parameters that cannot be accepted", &huma.ErrorDetail{Location: "query.cursor", Message: message})
}

// plain reports whether a text can be kept: PostgreSQL's texts have no NUL.
func plain(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }
