// Package kubetest is a Kubernetes API server for the tests of several packages, as far as EndpointSlices go: it lists and watches them with resource versions, bookmarks, compaction and the answers of the real one to those it does
// not let in, over TLS with HTTP/2. What it is asked in a way that the real one would not take, it refuses. Nothing but tests imports it (layers_test.go holds that).
package kubetest

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
)

// Test is what a testing.T and a rapid.T have in common.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Slice is an EndpointSlice.
type Slice struct {
	Namespace, Name, Service string
	Type                     string // "": IPv4
	Ports                    []Port
	Pods                     []Pod
}

// Port is one of a slice.
type Port struct {
	Name     string
	Number   int    // 0: all
	Protocol string // "": TCP
}

// Pod is an endpoint: ready unless it says otherwise.
type Pod struct {
	Address, UID string
	Conditions   map[string]bool
}

// NotReady are the conditions of a pod that does not answer yet.
func NotReady() map[string]bool {
	return map[string]bool{"ready": false, "serving": false, "terminating": false}
}

// Ending are those of one that ends and still answers.
func Ending() map[string]bool {
	return map[string]bool{"ready": false, "serving": true, "terminating": true}
}

// Ended are those of one that ends and answers no more.
func Ended() map[string]bool {
	return map[string]bool{"ready": false, "serving": false, "terminating": true}
}

// change is one event of the store.
type change struct {
	version int
	kind    string
	slice   Slice
}

// API is the server.
type API struct {
	URL string
	// CA, Token and Namespace are files as kubelet mounts them: the namespace is "default".
	CA, Token, Namespace string

	mu        sync.Mutex // guards what follows
	server    *httptest.Server
	address   string
	token     string
	forbidden bool
	version   int
	compacted int // changes up to this version are not known any more
	objects   map[string]Slice
	changes   []change
	more      chan struct{} // closed and renewed when there are changes, or orders for the watches
	orders    []order
	lists     int
	watches   int
	open      int
	gone      string        // how a compacted version is told: "event", else by the answer's status
	refuse    int           // answer everything with this status; 0: nothing
	stopped   chan struct{} // closed while the server is down
}

// order is for the watches that were opened before it.
type order struct {
	kind string // "end", "cut", "write"
	text string
}

// Start runs a server until the test ends, with its files in dir.
func Start(t Test, dir string) *API {
	t.Helper()
	a := &API{objects: map[string]Slice{}, more: make(chan struct{}), version: 100, token: "first"}
	a.CA, a.Token, a.Namespace = filepath.Join(dir, "ca.crt"), filepath.Join(dir, "token"), filepath.Join(dir, "namespace")
	if err := a.up("127.0.0.1:0"); err != nil {
		t.Fatalf("start API server: %v", err)
	}
	a.URL = "https://" + a.address
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw})
	for file, text := range map[string]string{a.CA: string(root), a.Token: a.token + "\n", a.Namespace: "default"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatalf("write %s: %v", file, err)
		}
	}
	t.Cleanup(a.Down)
	return a
}

// up listens. a.mu is held, or nobody else there yet.
func (a *API) up(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	_ = s.Listener.Close()
	s.Listener, s.EnableHTTP2 = l, true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of watches that are broken on purpose
	s.StartTLS()
	a.server, a.address, a.stopped = s, l.Addr().String(), make(chan struct{})
	return nil
}

// Down stops the server: who connects is refused, and watches break.
func (a *API) Down() {
	a.mu.Lock()
	s := a.server
	a.server = nil
	if s != nil {
		close(a.stopped)
	}
	a.mu.Unlock()
	if s != nil {
		s.CloseClientConnections()
		s.Close()
	}
}

// Up starts it again, with what it knew.
func (a *API) Up(t Test) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.up(a.address); err != nil {
		t.Fatalf("start API server again: %v", err)
	}
}

// Apply makes a slice be, Delete not be.
func (a *API) Apply(s Slice) {
	if s.Namespace == "" {
		s.Namespace = "default"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kind := "ADDED"
	if _, known := a.objects[s.key()]; known {
		kind = "MODIFIED"
	}
	a.objects[s.key()] = s
	a.record(kind, s)
}

// Delete is Apply's opposite.
func (a *API) Delete(namespace, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := namespace + "/" + name
	s := a.objects[key]
	delete(a.objects, key)
	a.record("DELETED", s)
}

func (s Slice) key() string { return s.Namespace + "/" + s.Name }

func (a *API) record(kind string, s Slice) {
	a.version++
	a.changes = append(a.changes, change{a.version, kind, s})
	a.wake()
}

func (a *API) wake() {
	close(a.more)
	a.more = make(chan struct{})
}

// Compact forgets changes, so that watches from before are told 410: by the status of the answer, or by an event, as servers do both. Watches that are open end.
func (a *API) Compact(byEvent bool) {
	a.mu.Lock()
	a.version++ // something else has happened in the cluster
	a.compacted = a.version
	a.gone = map[bool]string{true: "event"}[byEvent]
	a.mu.Unlock()
	a.End()
}

// Forget is Compact of what has happened until now, with nothing else: who knows of the last of it may go on from there. Watches that are open end.
func (a *API) Forget() {
	a.mu.Lock()
	a.compacted = a.version
	a.mu.Unlock()
	a.End()
}

// End ends all watches as their time would, Cut breaks them in the middle of an event, and Write puts something into them.
func (a *API) End() { a.order("end", "") }

// Cut breaks all watches.
func (a *API) Cut() { a.order("cut", "") }

// Write puts a text into all watches.
func (a *API) Write(text string) { a.order("write", text) }

// Bookmark tells all watches the version.
func (a *API) Bookmark() {
	a.mu.Lock()
	a.version++
	text := fmt.Sprintf(`{"type":"BOOKMARK","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"%d"},"addressType":"","endpoints":null,"ports":null}}`, a.version)
	a.mu.Unlock()
	a.order("write", text+"\n")
}

func (a *API) order(kind, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orders = append(a.orders, order{kind, text})
	a.wake()
}

// Rotate makes another token the only valid one. The file has the old one still.
func (a *API) Rotate(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token = token
}

// Forbid takes the account's rights, or gives them back.
func (a *API) Forbid(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forbidden = yes
}

// Refuse has every request answered with a status, 0 for none.
func (a *API) Refuse(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = status
}

// Count is how many lists and watches there have been, and how many watches are open.
func (a *API) Count() (lists, watches, open int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lists, a.watches, a.open
}
