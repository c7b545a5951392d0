package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/store"
)

func TestDocumentBatches(t *testing.T) { each(t, documentBatches) }

func documentBatches(t *testing.T, o store.Options) {
	docs := open(t, o).Documents()
	ctx, now := t.Context(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k, other := store.DocumentKey{Tenant: "t1", Document: "d"}, store.DocumentKey{Tenant: "t2", Document: "d"}
	if saved, err := docs.Load(ctx, k); err != nil || saved.Snapshot != nil || len(saved.Batches) != 0 {
		t.Fatalf("nothing yet: %+v, %v", saved, err)
	}
	most := store.Bounds{Documents: 1, Members: 2, Until: now.Add(time.Minute)}
	for _, key := range []store.DocumentKey{k, other} {
		if err := docs.Join(ctx, key, store.Member{Client: "c1", User: "ann"}, most, now); err != nil {
			t.Fatal(err)
		}
	}
	batch := func(version int64, request string) store.Batch {
		return store.Batch{Version: version, User: "ann", Request: request, Ops: []byte(fmt.Sprintf(`["%d"]`, version))}
	}
	for v := int64(1); v <= 12; v++ {
		var snapshot []byte
		if v%5 == 0 {
			snapshot = []byte(fmt.Sprintf(`{"version":%d}`, v))
		}
		if err := docs.Append(ctx, k, batch(v, fmt.Sprint("r", v)), snapshot, 4); err != nil {
			t.Fatalf("batch %d: %v", v, err)
		}
	}
	for name, c := range map[string]struct {
		b    store.Batch
		want error
	}{
		"somebody was first": {batch(12, "new"), store.ErrConflict}, "a gap": {batch(14, "new"), store.ErrConflict}, "written before": {batch(13, "r12"), store.ErrRepeated},
		"written before and late": {batch(12, "r12"), store.ErrRepeated},
	} {
		if err := docs.Append(ctx, k, c.b, nil, 4); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	saved, err := docs.Load(ctx, k)
	if err != nil || string(saved.Snapshot) != `{"version":10}` || len(saved.Batches) != 2 || saved.Batches[0].Version != 11 || string(saved.Batches[1].Ops) != `["12"]` {
		t.Errorf("loaded %+v, %v", saved, err)
	}
	if list, err := docs.Since(ctx, k, 0); err != nil || len(list) != 6 || list[0].Version != 7 {
		t.Errorf("kept %+v, %v", list, err)
	}
	if b, err := docs.Written(ctx, k, "ann", "r11"); err != nil || b.Version != 11 {
		t.Errorf("%+v, %v", b, err)
	}
	for _, forgotten := range [][2]string{{"ann", "r1"}, {"bob", "r11"}} {
		if _, err := docs.Written(ctx, k, forgotten[0], forgotten[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%v: %v", forgotten, err)
		}
	}
	if at, err := docs.State(ctx, k); err != nil || at.Version != 12 {
		t.Errorf("%+v, %v", at, err)
	}
	if saved, err := docs.Load(ctx, other); err != nil || len(saved.Batches) != 0 {
		t.Errorf("another tenant has %+v, %v", saved, err)
	}
}

func TestDocumentMembers(t *testing.T) { each(t, documentMembers) }

func documentMembers(t *testing.T, o store.Options) {
	docs := open(t, o).Documents()
	ctx, now := t.Context(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k := store.DocumentKey{Tenant: "t1", Document: "d"}
	most := store.Bounds{Documents: 1, Members: 2, Until: now.Add(time.Minute)}
	join := func(k store.DocumentKey, client string, now time.Time) error {
		return docs.Join(ctx, k, store.Member{Client: client, User: "ann", Name: "Ann"}, most, now)
	}
	state := func() int64 {
		t.Helper()
		at, err := docs.State(ctx, k)
		if err != nil {
			t.Fatal(err)
		}
		return at.Presence
	}
	for _, client := range []string{"c1", "c2"} {
		if err := join(k, client, now); err != nil {
			t.Fatal(err)
		}
	}
	if err := join(k, "c3", now); !errors.Is(err, store.ErrFull) {
		t.Errorf("a third of two: %v", err)
	}
	if err := join(store.DocumentKey{Tenant: "t1", Document: "d2"}, "c1", now); !errors.Is(err, store.ErrFull) {
		t.Errorf("a second document of one: %v", err)
	}
	before := state()
	moved := store.Sign{Members: []store.Member{{Client: "c1", User: "ann", Name: "Ann", Cursor: "7"}}, Moved: true, Now: now, Until: now.Add(2 * time.Minute)}
	if err := docs.Refresh(ctx, k, moved); err != nil || state() == before {
		t.Errorf("moved: %v, %d", err, state())
	}
	if list, err := docs.Members(ctx, k, now); err != nil || len(list) != 2 || list[0].Cursor != "7" {
		t.Errorf("%+v, %v", list, err)
	}
	// c2's time is over: it is not listed, and the next who signs or joins takes it away, which the counter tells.
	late := now.Add(90 * time.Second)
	if list, err := docs.Members(ctx, k, late); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	before = state()
	if err := docs.Refresh(ctx, k, store.Sign{Now: late}); err != nil || state() == before {
		t.Errorf("expired: %v, %d", err, state())
	}
	most.Until = late.Add(time.Minute)
	if err := join(k, "c3", late); err != nil {
		t.Errorf("there is room again: %v", err)
	}
	before = state()
	if err := docs.Leave(ctx, k, "c3"); err != nil || state() == before {
		t.Errorf("left: %v, %d", err, state())
	}
	if list, err := docs.Members(ctx, k, late); err != nil || len(list) != 1 || list[0].Client != "c1" {
		t.Errorf("%+v, %v", list, err)
	}
}
