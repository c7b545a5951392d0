package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

const (
	// maxEvent is more than an object may have: etcd takes requests of 1.5 MiB.
	maxEvent = 2 << 20

	// maxList is some 30,000 pods; Services of more are beyond what one edge balances.
	maxList = 16 << 20
)

var errExpired = errors.New("the resource version has expired") // 410: what has happened since is not known any more

// event is one line of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// events reads a watch.
type events struct {
	source  bounded
	decoder *json.Decoder
}

func newEvents(r io.Reader) *events {
	e := &events{source: bounded{from: r}}
	e.decoder = json.NewDecoder(&e.source)
	return e
}

// next is the next event's kind and object, which is an EndpointSlice or, of a bookmark, as much of one as has a version. errExpired and refusals are the server's; io errors mean that the watch has ended, others that it cannot be
// understood.
func (e *events) next() (string, *object, error) {
	e.source.left = maxEvent
	var ev event
	if err := e.decoder.Decode(&ev); err != nil {
		return "", nil, err
	}
	switch ev.Type {
	case "ADDED", "MODIFIED", "DELETED", "BOOKMARK":
		o := &object{}
		if err := json.Unmarshal(ev.Object, o); err != nil {
			return "", nil, &nonsense{fmt.Errorf("object of %s: %w", ev.Type, err)}
		}
		return ev.Type, o, o.check(ev.Type == "BOOKMARK")
	case "ERROR":
		var s status
		if err := json.Unmarshal(ev.Object, &s); err != nil {
			return "", nil, &nonsense{fmt.Errorf("object of ERROR: %w", err)}
		}
		if s.Code == http.StatusGone {
			return "", nil, errExpired
		}
		return "", nil, &refusal{code: s.Code, message: s.Message}
	default:
		return "", nil, &nonsense{fmt.Errorf("type %.20q", ev.Type)}
	}
}

// check refuses what is no EndpointSlice.
func (o *object) check(bookmark bool) error {
	switch {
	case o.Kind != "EndpointSlice":
		return &nonsense{fmt.Errorf("kind %.40q", o.Kind)}
	case o.Metadata.ResourceVersion == "":
		return &nonsense{errors.New("an object without resourceVersion")}
	case o.Metadata.Name == "" && !bookmark:
		return &nonsense{errors.New("an object without a name")}
	default:
		return nil
	}
}

// nonsense is what no API server says.
type nonsense struct{ error }

func (n *nonsense) Unwrap() error { return n.error }

// understood tells ends of a watch, which happen, from what is wrong with it.
func understood(err error) bool {
	var n *nonsense
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return !errors.As(err, &n) && !errors.As(err, &syntax) && !errors.As(err, &kind) && !errors.Is(err, errTooLong)
}

var errTooLong = errors.New("an object is too long")

// bounded reads from a stream until left is used up. The decoder reads ahead, so an event may take up to twice what it is given.
type bounded struct {
	from io.Reader
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// list is an EndpointSliceList.
type list struct {
	Kind     string `json:"kind"`
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []object `json:"items"`
}

// readList reads a list, whose items do not repeat their kind.
func readList(r io.Reader) (*list, error) {
	source := bounded{from: r, left: maxList}
	l := &list{}
	if err := json.NewDecoder(&source).Decode(l); err != nil {
		return nil, err
	}
	if l.Kind != "EndpointSliceList" || l.Metadata.ResourceVersion == "" {
		return nil, &nonsense{fmt.Errorf("kind %.40q, resourceVersion %.40q", l.Kind, l.Metadata.ResourceVersion)}
	}
	for i := range l.Items {
		if l.Items[i].Metadata.Name == "" {
			return nil, &nonsense{errors.New("an item without a name")}
		}
	}
	return l, nil
}
