package admin

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"
)

// Verb is what an operator orders beside weights.
type Verb string

// The verbs. Drain gives a group or a target no new clients and leaves it those that it has; Evict takes these away too; Pause makes all requests of a service wait. Resume
// undoes each.
const (
	Drain  Verb = "drain"
	Evict  Verb = "evict"
	Pause  Verb = "pause"
	Resume Verb = "resume"
)

// Order is one order: POST /v1/services/{s}/{verb}.
type Order struct {
	Verb Verb
	// Group and Target say what it is about: a group, or a target in every group, or in that one, that has it. Neither: the service as a whole, which can only be paused.
	Group, Target string
	// MaxWaiting and Timeout bound a pause.
	MaxWaiting int
	Timeout    time.Duration
}

// The bounds of a pause where nothing else is said, and up to where they go: requests that wait are connections that are held.
const (
	PauseMaxWaiting = 1024
	PauseTimeout    = 30 * time.Second
	mostWaiting     = 1_000_000
	longestPause    = time.Hour
)

// ParseOrder reads the body of an order, an object of the names group, target, max_waiting and timeout.
func ParseOrder(verb Verb, body []byte) (Order, error) {
	var text struct {
		Group      string `json:"group"`
		Target     string `json:"target"`
		MaxWaiting *int   `json:"max_waiting"`
		Timeout    string `json:"timeout"`
	}
	if err := objectOrNone(body, `the body must be a JSON object such as {"group":"green"}`, &text); err != nil {
		return Order{}, err
	}
	o := Order{Verb: verb, Group: text.Group, Target: text.Target, MaxWaiting: PauseMaxWaiting, Timeout: PauseTimeout}
	bad := &InvalidError{Title: "order not acceptable"}
	place := text.Group != "" || text.Target != ""
	bounds := text.MaxWaiting != nil || text.Timeout != ""
	switch {
	case verb == Pause && place:
		bad.add("", "a service is paused as a whole: drain and evict are for groups and targets")
	case verb != Pause && bounds:
		bad.add("", "max_waiting and timeout are for pause")
	case (verb == Drain || verb == Evict) && !place:
		bad.add("group", "say which group or target to "+string(verb))
	}
	if text.MaxWaiting != nil {
		if o.MaxWaiting = *text.MaxWaiting; o.MaxWaiting < 0 || o.MaxWaiting > mostWaiting {
			bad.add("max_waiting", fmt.Sprintf("max_waiting must be from 0 to %d", mostWaiting))
		}
	}
	if text.Timeout != "" {
		var err error
		if o.Timeout, err = time.ParseDuration(text.Timeout); err != nil || o.Timeout <= 0 || o.Timeout > longestPause {
			bad.add("timeout", fmt.Sprintf("timeout %q must be a duration of more than 0 and at most %s", text.Timeout, longestPause))
		}
	}
	if verb != Pause {
		o.MaxWaiting, o.Timeout = 0, 0
	}
	return o, bad.orNil()
}

// order is the endpoint of a verb.
func (a *api) order(verb Verb) write {
	return func(ctx context.Context, c command) (answer, error) {
		name := c.request.PathValue("s")
		c.record.after = strings.TrimSpace(string(verb) + " " + string(bytes.TrimSpace(c.body)))
		now, err := a.control.Service(name)
		if err != nil {
			return answer{}, err
		}
		c.record.before = now.Posture()
		o, err := ParseOrder(verb, c.body)
		if err != nil {
			return answer{}, err
		}
		before, after, err := a.control.Steer(ctx, name, o, c.Change)
		return c.changed(before, after, err)
	}
}

// Posture is the weights and all that is said beside them, in one line.
func (s Service) Posture() string {
	words := []string{s.Weights().String()}
	for _, g := range s.Groups {
		if g.Mark != nil {
			words = append(words, g.Name+" "+g.Mark.State)
		}
		for _, t := range g.Targets {
			if t.Mark != nil {
				words = append(words, g.Name+" "+t.Address+" "+t.Mark.State)
			}
		}
	}
	if s.Pause != nil {
		words = append(words, "paused")
	}
	return strings.Join(words, ", ")
}
