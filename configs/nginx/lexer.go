package nginx

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxWord is nginx's NGX_CONF_BUFFER: a word, or a comment, that does not end within so many bytes is an error there too.
const maxWord = 4096

// place is where something is in a file; columns are in characters.
type place struct {
	file      string
	line, col int
}

func (p place) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.col) }

// Error is a mistake for which nginx would not start.
type Error struct {
	Place   string // FILE:LINE:COL
	Message string
}

// Error is the mistake as FILE:LINE:COL: message.
func (e *Error) Error() string { return e.Place + ": " + e.Message }

func wrong(at place, format string, args ...any) error {
	return &Error{at.String(), fmt.Sprintf(format, args...)}
}

// ending says what a statement ended with.
type ending uint8

const (
	endOfFile ending = iota
	semicolon
	blockStart
	blockDone
)

// statement is the words up to a ";", "{" or "}".
type statement struct {
	words []string
	at    place
	end   ending
}

// lexer cuts a file into statements, byte for byte as ngx_conf_read_token does.
type lexer struct {
	file string
	data []byte
	pos  int
	line int // of pos, from 1
	// col is how many characters of that line have been read. It is counted along, because a file of megabytes may be one line.
	col int
}

func newLexer(file string, data []byte) *lexer { return &lexer{file: file, data: data, line: 1} }

// here is the place of what comes next.
func (l *lexer) here() place { return place{l.file, l.line, 1 + l.col} }

// read is the place of the byte read last.
func (l *lexer) read() place { return place{l.file, l.line, max(1, l.col)} }

// at is the place of an offset anywhere before; it counts from the beginning, for errors only.
func (l *lexer) at(offset int) place {
	before := l.data[:offset]
	bol := bytes.LastIndexByte(before, '\n') + 1
	return place{l.file, 1 + bytes.Count(before, []byte{'\n'}), 1 + utf8.RuneCount(before[bol:])}
}

// scan is the state of next: what nginx keeps in flags of the same names.
type scan struct {
	statement
	start     int // of the word under way
	comment   bool
	escaped   bool // the byte after a backslash
	variable  bool // after "$": a "{" belongs to the word
	quote     byte // the quote that the word is in
	needSpace bool // after a closing quote
	lastSpace bool // between words
}

// next gives the next statement. Its place is that of its first word.
func (l *lexer) next() (statement, error) {
	s := &scan{start: l.pos, lastSpace: true, statement: statement{at: l.here()}}
	for {
		if l.pos >= len(l.data) {
			if len(s.words) > 0 || !s.lastSpace {
				return s.statement, wrong(l.here(), `unexpected end of file, expecting ";" or "}"`)
			}
			return s.statement, nil
		}
		if l.pos-s.start >= maxWord {
			return s.statement, l.tooLong(s)
		}
		ch := l.data[l.pos]
		l.pos++
		if utf8.RuneStart(ch) {
			l.col++
		}
		if done, err := l.take(s, ch); done || err != nil {
			return s.statement, err
		}
		if ch == '\n' {
			l.line++
			l.col = 0
		}
	}
}

func (l *lexer) tooLong(s *scan) error {
	if s.quote != 0 {
		return wrong(l.at(s.start), "too long parameter, probably missing terminating \"%c\" character", s.quote)
	}
	return wrong(l.at(s.start), "too long parameter %q", string(l.data[s.start:s.start+10])+"...")
}

// take looks at one byte; true at the end of the statement.
func (l *lexer) take(s *scan, ch byte) (done bool, err error) {
	if ch == '\n' {
		s.comment = false
	}
	if s.comment {
		return false, nil
	}
	if s.escaped {
		s.escaped = false
		return false, nil
	}
	if s.needSpace {
		switch ch {
		case ' ', '\t', '\r', '\n':
			s.lastSpace, s.needSpace = true, false
			return false, nil
		case ';', '{':
			return finish(s, ch)
		case ')': // if ($a = "b")
			s.lastSpace, s.needSpace = true, false
		default:
			return false, wrong(l.read(), "unexpected %q", string(ch))
		}
	}
	if s.lastSpace {
		return l.begin(s, ch)
	}
	return l.inside(s, ch)
}

// begin looks at a byte between words.
func (l *lexer) begin(s *scan, ch byte) (done bool, err error) {
	s.start = l.pos - 1
	switch ch {
	case ' ', '\t', '\r', '\n':
		return false, nil
	case '#':
		s.comment = true
		return false, nil
	case ';', '{':
		if len(s.words) == 0 {
			return false, wrong(l.read(), "unexpected %q", string(ch))
		}
		return finish(s, ch)
	case '}':
		if len(s.words) != 0 {
			return false, wrong(l.read(), `unexpected "}"`)
		}
		s.at, s.end = l.read(), blockDone
		return true, nil
	}
	if len(s.words) == 0 {
		s.at = l.read()
	}
	s.lastSpace = false
	switch ch {
	case '\\':
		s.escaped = true
	case '"', '\'':
		s.start++
		s.quote = ch
	case '$':
		s.variable = true
	}
	return false, nil
}

// inside looks at a byte of a word.
func (l *lexer) inside(s *scan, ch byte) (done bool, err error) {
	if ch == '{' && s.variable {
		return false, nil
	}
	s.variable = false
	found := false
	switch {
	case ch == '\\':
		s.escaped = true
	case ch == '$':
		s.variable = true
	case s.quote != 0:
		if ch == s.quote {
			s.quote, s.needSpace, found = 0, true, true
		}
	case ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == ';' || ch == '{':
		s.lastSpace, found = true, true
	}
	if !found {
		return false, nil
	}
	s.words = append(s.words, unescape(l.data[s.start:l.pos-1]))
	if ch == ';' || ch == '{' {
		return finish(s, ch)
	}
	return false, nil
}

func finish(s *scan, ch byte) (done bool, err error) {
	s.end = semicolon
	if ch == '{' {
		s.end = blockStart
	}
	return true, nil
}

// unescape takes the backslash off quotes and itself and makes \t, \r and \n what they stand for; before anything else it stays, as regular expressions want it.
func unescape(word []byte) string {
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '\\' && i+1 < len(word) {
			switch next := word[i+1]; next {
			case '"', '\'', '\\':
				i++
			case 't', 'r', 'n':
				b.WriteByte(map[byte]byte{'t': '\t', 'r': '\r', 'n': '\n'}[next])
				i++
				continue
			}
		}
		b.WriteByte(word[i])
	}
	return b.String()
}

// skipLua passes over the body of a block of Lua (OpenResty), which is no nginx syntax: up to the brace that closes it, braces in strings and comments aside.
func (l *lexer) skipLua(at place) error {
	depth := 1
	for l.pos < len(l.data) {
		switch rest := l.data[l.pos:]; {
		case rest[0] == '{':
			depth++
			l.pos++
		case rest[0] == '}':
			depth--
			l.pos++
		default:
			l.pos += luaToken(rest)
		}
		if depth == 0 {
			end := l.at(l.pos)
			l.line, l.col = end.line, end.col-1
			return nil
		}
	}
	return wrong(at, "unexpected end of file in a block of Lua, expecting \"}\"")
}

// luaToken is the length of the string, comment or byte that s begins with.
func luaToken(s []byte) int {
	text := string(s[:min(len(s), 2)])
	begin := 0
	if text == "--" {
		begin = 2
	}
	if body, level := luaLong(s[begin:]); level >= 0 {
		end := "]" + strings.Repeat("=", level) + "]"
		if i := strings.Index(string(s[begin+body:]), end); i >= 0 {
			return begin + body + i + len(end)
		}
		return len(s)
	}
	if text == "--" {
		if i := strings.IndexByte(string(s), '\n'); i >= 0 {
			return i
		}
		return len(s)
	}
	if s[0] != '"' && s[0] != '\'' {
		return 1
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		case '\n':
			return i
		}
	}
	return len(s)
}

// luaLong is the length and level of an opening long bracket, "[[" or "[==["; level -1 where s begins with none.
func luaLong(s []byte) (length, level int) {
	i := 1
	for len(s) > 0 && s[0] == '[' && i < len(s) && s[i] == '=' {
		i++
	}
	if len(s) > i && s[0] == '[' && s[i] == '[' {
		return i + 1, i - 1
	}
	return 0, -1
}
