// Package collab lets several people work on one document at once: a set of last-writer-wins values and a list of notes, kept in the database and shared by
// every instance on it, spoken over WebSocket.
//
// Document is the pure core: what wins does not depend on the order in which it arrives. Hub is the thin shell: sockets, limits and who is there. It refuses
// to merge text: two people who write one value at once get the later one, whole.
package collab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Bounds of a document and its parts, in bytes but for maxOps.
const (
	maxPath     = 128
	maxValue    = 4 << 10
	maxText     = 4 << 10
	maxOps      = 50
	maxDocument = 256 << 10 // one message carries a whole one to who joins
	perOp       = 64        // what an entry costs beside its own bytes
)

// Kinds of an Op.
const (
	KindSet  = "set"
	KindNote = "append_note"
)

// Op is one change. TS is the writer's clock in milliseconds since 1970 UTC; User is who wrote, which the server says and not the client.
type Op struct {
	Kind  string          `json:"op"`
	Path  string          `json:"path,omitempty"`  // of a set
	Value json.RawMessage `json:"value,omitempty"` // of a set: compact JSON, null included
	Text  string          `json:"text,omitempty"`  // of a note
	TS    int64           `json:"ts"`
	User  string          `json:"user_id"`
}

// Cell is what a path holds, and who wrote it when.
type Cell struct {
	Value json.RawMessage `json:"value"`
	TS    int64           `json:"ts"`
	User  string          `json:"user_id"`
}

// Note is one appended note. ID is the version of its batch and its place in it.
type Note struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	TS   int64  `json:"ts"`
	User string `json:"user_id"`
}

// Document is the state after Version batches. It is not safe for concurrent use.
type Document struct {
	Version int64           `json:"version"`
	Values  map[string]Cell `json:"values"`
	Notes   []Note          `json:"notes"`

	size int // bytes counted against maxDocument
}

// NewDocument is the empty one.
func NewDocument() *Document {
	return &Document{Values: map[string]Cell{}, Notes: []Note{}}
}

// ReadDocument is the one that Snapshot wrote.
func ReadDocument(snapshot []byte) (*Document, error) {
	d := NewDocument()
	if err := json.Unmarshal(snapshot, d); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	for path, c := range d.Values {
		d.size += perOp + len(path) + len(c.Value)
	}
	for _, n := range d.Notes {
		d.size += perOp + len(n.Text)
	}
	return d, nil
}

// Snapshot is the document as JSON.
func (d *Document) Snapshot() ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	return b, nil
}

// Clone is a copy that changes by itself.
func (d *Document) Clone() *Document {
	return &Document{Version: d.Version, Values: maps.Clone(d.Values), Notes: slices.Clone(d.Notes), size: d.size}
}

// Wins reports whether a set takes the place of what its path holds: the greater (ts, user_id). Of two of one user in one millisecond, as two windows can
// write, the greater text wins, so that the order of arrival never counts.
func Wins(op Op, over Cell) bool {
	switch {
	case op.TS != over.TS:
		return op.TS > over.TS
	case op.User != over.User:
		return op.User > over.User
	}
	return bytes.Compare(op.Value, over.Value) > 0
}

// Effective are those of the ops, in their order, that change the document, and whether it has room for them. The document stays as it is.
func (d *Document) Effective(ops []Op) (effective []Op, fits bool) {
	ahead := map[string]Cell{} // what the batch itself has written
	size := d.size
	effective = make([]Op, 0, len(ops))
	for _, op := range ops {
		if op.Kind == KindNote {
			effective, size = append(effective, op), size+perOp+len(op.Text)
			continue
		}
		held, there := ahead[op.Path]
		if !there {
			held, there = d.Values[op.Path]
		}
		if there && !Wins(op, held) {
			continue
		}
		if there {
			size -= perOp + len(op.Path) + len(held.Value)
		}
		ahead[op.Path] = Cell{op.Value, op.TS, op.User}
		effective, size = append(effective, op), size+perOp+len(op.Path)+len(op.Value)
	}
	// What does not grow is always welcome: a full document can still be changed.
	return effective, size <= max(maxDocument, d.size)
}

// Apply takes a batch's ops in and counts it, also when it has none.
func (d *Document) Apply(ops []Op) {
	d.Version++
	for i, op := range ops {
		switch op.Kind {
		case KindNote:
			d.Notes = append(d.Notes, Note{fmt.Sprintf("%d.%d", d.Version, i), op.Text, op.TS, op.User})
			d.size += perOp + len(op.Text)
		case KindSet:
			held, there := d.Values[op.Path]
			if there && !Wins(op, held) {
				continue
			}
			if there {
				d.size -= perOp + len(op.Path) + len(held.Value)
			}
			d.Values[op.Path] = Cell{op.Value, op.TS, op.User}
			d.size += perOp + len(op.Path) + len(op.Value)
		}
	}
}
