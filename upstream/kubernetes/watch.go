package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	// shortestWatch and longestWatch are between what a watch is asked to last: the servers of a cluster then share its watches again some minutes after one of them was away, and a token that has ended is noticed.
	shortestWatch = 4 * time.Minute
	longestWatch  = 5 * time.Minute

	// overtime is what a server may take longer than asked before the watch is given up.
	overtime = 30 * time.Second

	// brief is a watch that ended without having been one.
	brief = time.Second
)

// watch follows one Service. It belongs to one call of Watch.
type watch struct {
	client  *Client
	service Service
	tell    func([]Endpoint, error)

	version string // what the slices are of; "": they are to be listed
	slices  collection
	briefs  int // watches in a row that ended without having been ones
}

// Watch tells of a Service's endpoints until ctx ends: at once, after every change, and after every failure, with the endpoints or the error, never both. Nobody at all, without an error, is an answer like others. It also tells what it has
// told before when the server has shown that it still holds.
func (c *Client) Watch(ctx context.Context, s Service, tell func([]Endpoint, error)) {
	w := &watch{client: c, service: s, tell: tell}
	for failures := 0; ; {
		useful, err := w.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if useful {
			failures = 0
		}
		pause := spread(min(c.pause<<min(failures, 5), maxPause))
		var r *refusal
		switch {
		case err == nil:
			pause /= 2 // all the watches of a server that was restarted come back
		case errors.As(err, &r):
			pause = max(pause, r.after)
		}
		if err != nil && !errors.Is(err, errExpired) {
			tell(nil, fmt.Errorf("follow endpoints of %s: %w", s, err))
		}
		if !useful {
			failures++
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// spread is half of d to d: what fails for many at once must not come again at once.
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// round is one list, if need be, and one watch. useful: the server has told something, or has kept a watch open. No error is a watch that has come to its end.
func (w *watch) round(ctx context.Context) (useful bool, err error) {
	namespace, err := w.client.namespace(w.service)
	if err != nil {
		return false, err
	}
	path := "/apis/discovery.k8s.io/v1/namespaces/" + url.PathEscape(namespace) + "/endpointslices"
	again := w.version != ""
	if !again {
		if err := w.list(ctx, path); err != nil {
			return false, err
		}
		w.report()
	}
	began := time.Now()
	told, err := w.follow(ctx, path, again)
	lasted := time.Since(began)
	switch {
	case err != nil:
		return told, err
	case !told && lasted < brief:
		if w.briefs++; w.briefs > 1 { // one may be a server's end
			err = fmt.Errorf("watch %s: it was ended at once", path)
		}
		return false, err
	case !told && lasted >= shortestWatch:
		w.version = "" // not even a bookmark: the version may be one that the server is yet to come to, after a restore
	}
	w.briefs = 0
	return true, nil
}

func (w *watch) query() url.Values {
	return url.Values{"labelSelector": {"kubernetes.io/service-name=" + w.service.Name}}
}

// list asks for all there is now: without a resource version, so that no cache may answer with what was.
func (w *watch) list(ctx context.Context, path string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	res, err := w.client.get(ctx, path, w.query())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	l, err := readList(res.Body)
	if err != nil {
		return fmt.Errorf("list %s: %w", path, err)
	}
	w.version, w.slices = l.Metadata.ResourceVersion, collection{}
	for i := range l.Items {
		w.slices[l.Items[i].Metadata.Name] = &l.Items[i]
	}
	return nil
}

// follow takes what changes until the watch ends. told: there was an event. An error is a watch that was refused, or that the server or its own words have ended; one that broke has just ended, and what it was of still holds.
func (w *watch) follow(ctx context.Context, path string, again bool) (told bool, err error) {
	length := shortestWatch + rand.N(longestWatch-shortestWatch)
	ctx, cancel := context.WithTimeout(ctx, length+overtime)
	defer cancel()
	query := w.query()
	query.Set("watch", "true")
	query.Set("allowWatchBookmarks", "true")
	query.Set("resourceVersion", w.version)
	query.Set("timeoutSeconds", strconv.Itoa(int(length/time.Second)))
	res, err := w.client.get(ctx, path, query)
	var r *refusal
	switch {
	case errors.As(err, &r) && r.code == http.StatusGone:
		w.version = ""
		return false, errExpired
	case errors.As(err, &r) && r.code != http.StatusTooManyRequests:
		w.version = "" // whatever it has against it
		return false, err
	case err != nil:
		return false, err
	}
	defer res.Body.Close()
	if again {
		w.report() // it is there again
	}
	for e := newEvents(res.Body); ; told = true {
		kind, o, err := e.next()
		switch {
		case err == nil:
			w.apply(kind, o)
		case errors.Is(err, errExpired):
			w.version = ""
			return told, err
		case errors.As(err, &r), !understood(err):
			w.version = ""
			return told, fmt.Errorf("watch %s: %w", path, err)
		default:
			return told, nil
		}
	}
}

// apply takes one event.
func (w *watch) apply(kind string, o *object) {
	w.version = o.Metadata.ResourceVersion
	switch kind {
	case "ADDED", "MODIFIED":
		w.slices[o.Metadata.Name] = o
	case "DELETED":
		delete(w.slices, o.Metadata.Name)
	}
	w.report()
}

// report tells what the slices say.
func (w *watch) report() {
	list, err := w.slices.endpoints(w.service.Port)
	if err != nil {
		w.tell(nil, fmt.Errorf("follow endpoints of %s: %w", w.service, err))
		return
	}
	w.tell(slices.Clip(list), nil)
}
