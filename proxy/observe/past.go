package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Past is what a line of an access log tells of a request. What the line's format does not hold is empty.
type Past struct {
	End      time.Time     // to the microsecond; of a combined line to the second
	Duration time.Duration // 0 of a combined line

	Client, Source     netip.Addr // Source: the peer, when it is not the client
	Method, Host, Path string     // Path: of the target, without query; "" when none was read
	Secure             bool       // TLS to us
	Status, Attempts   int
	RequestID          string
	Listener, Route    string
	Reason             string
	SampleRate         float64 // below 1: one of the lines that chance has let through; 0: it stands for itself

	Combined bool // neither duration, host, listener, route nor reason are known
}

// ErrNotAccess is a line that is weir's own and no request's.
var ErrNotAccess = errors.New("not an access line")

// ReadPast reads one line as AccessLog writes it, in either format. It keeps nothing of line.
func ReadPast(line []byte) (Past, error) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) > 0 && line[0] == '{' {
		return readJSON(line)
	}
	return readCombined(string(line))
}

// pastLine is a JSON line: the keys of keys.go.
type pastLine struct {
	Dataset   string     `json:"event.dataset"`
	Time      time.Time  `json:"@timestamp"`
	Duration  int64      `json:"event.duration"`
	Client    netip.Addr `json:"client.ip"`
	Source    netip.Addr `json:"source.ip"`
	Method    string     `json:"http.request.method"`
	Host      string     `json:"url.domain"`
	Target    string     `json:"url.original"`
	Scheme    string     `json:"url.scheme"`
	Status    int        `json:"http.response.status_code"`
	Attempts  int        `json:"weir.attempts"`
	RequestID string     `json:"http.request.id"`
	Listener  string     `json:"weir.listener"`
	Route     string     `json:"weir.route"`
	Reason    string     `json:"weir.reason"`
	Sample    float64    `json:"weir.sample_rate"`
}

func readJSON(line []byte) (Past, error) {
	var l pastLine
	if err := json.Unmarshal(line, &l); err != nil {
		return Past{}, fmt.Errorf("read access line: %w", err)
	}
	if l.Dataset != "weir.access" {
		return Past{}, ErrNotAccess
	}
	if l.Time.Unix() <= 0 || l.Duration < 0 {
		return Past{}, errors.New("read access line: no time in it")
	}
	return Past{
		End: l.Time, Duration: time.Duration(l.Duration), Client: l.Client, Source: l.Source, Method: l.Method, Host: l.Host, Path: pathOf(l.Target),
		Secure: l.Scheme == "https", Status: l.Status, Attempts: l.Attempts, RequestID: l.RequestID, Listener: l.Listener, Route: l.Route, Reason: l.Reason, SampleRate: l.Sample,
	}, nil
}

// combinedTime is nginx's $time_local.
const combinedTime = "02/Jan/2006:15:04:05 -0700"

var errCombined = errors.New("read access line: neither JSON nor combined")

// readCombined looks for the end of the time: a user's name before it can hold spaces and brackets, but no quote.
func readCombined(line string) (p Past, err error) {
	head, rest, ok := strings.Cut(line, `] "`)
	if !ok || len(head) <= len(combinedTime) || head[len(head)-len(combinedTime)-1] != '[' {
		return p, errCombined
	}
	request, rest, ok := strings.Cut(rest, `" `)
	status, _, more := strings.Cut(rest, " ")
	if !ok || !more {
		return p, errCombined
	}
	p.Combined = true
	if p.End, err = time.Parse(combinedTime, head[len(head)-len(combinedTime):]); err != nil || p.End.Unix() <= 0 {
		return p, errCombined
	}
	if p.Status, err = strconv.Atoi(status); err != nil {
		return p, errCombined
	}
	client, _, _ := strings.Cut(head, " ")
	if client != "-" {
		if p.Client, err = netip.ParseAddr(client); err != nil {
			return p, errCombined
		}
	}
	method, target, _ := strings.Cut(request, " ")
	if i := strings.LastIndex(target, " HTTP/"); i >= 0 {
		target = target[:i]
	}
	p.Method, p.Path = unescapeCombined(method), pathOf(unescapeCombined(target))
	return p, nil
}

// unescapeCombined undoes escapeCombined: \xHH.
func unescapeCombined(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' && unhex(s[i+2]) >= 0 && unhex(s[i+3]) >= 0 {
			b.WriteByte(byte(unhex(s[i+2])<<4 | unhex(s[i+3])))
			i += 3
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// pathOf is the path of a request target: of its origin, absolute or asterisk form (RFC 9112 §3.2); "" of others.
func pathOf(target string) string {
	if i := strings.Index(target, "://"); i >= 0 && target[0] != '/' {
		target = target[i+len("://"):]
		slash := strings.IndexByte(target, '/')
		if slash < 0 {
			return "/"
		}
		target = target[slash:]
	}
	if target == "*" {
		return target
	}
	path, _, _ := strings.Cut(target, "?")
	if path == "" || path[0] != '/' {
		return ""
	}
	return path
}
