package proxy

import (
	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/message"
)

// errServer stands for an answer with a 5xx status that was set aside, because the others are asked instead.
var errServer = &Error{502, ServerError, nil}

// refuseAnswer says why a final head is not passed on: the others are asked instead, or what inspects answers will not have it. One that is thrown away is not inspected.
func (t *attempt) refuseAnswer() *Error {
	switch x := t.x; {
	case t.setAside():
		return errServer
	case x.inspection != nil:
		return x.inspectAnswer()
	}
	return nil
}

// setAside reports whether an answer of the group on trial is to be thrown away, as a 5xx, and the others asked instead. If so the retry is paid for.
func (t *attempt) setAside() bool {
	x := t.x
	return x.service.Trial != nil && x.resp.Status >= 500 && x.rescuable()
}

// rescue gives a request that the group on trial has failed to the others, once, and reports whether it did. Beside what is safe to say again anyway it says a request again
// that was answered, or not in time: only with methods that change nothing, so that a green which fails costs its clients time and no error.
func (x *Exchange) rescue(err *Error) bool {
	c := &x.choice
	switch {
	case x.service.Trial == nil || c.group != c.assigned:
		return false
	case err != errServer && !(x.hearing.failed && x.timeLeft() && x.rescuable()):
		return false
	}
	to := x.others()
	if to < 0 { // it was there a moment ago
		return false
	}
	c.spent = c.spent.With(c.group)
	c.group, c.live, c.tried = to, x.service.Groups[to].Pool.Live(), balancer.Tried{}
	x.group = &x.service.Groups[to]
	x.headAt = 0
	return true
}

// rescuable reports whether the request can be given to the others, and takes the retry from the budget if so.
func (x *Exchange) rescuable() bool {
	s, v := x.service, &x.hearing
	switch {
	case v.moved || !v.counted || x.choice.group != s.Trial.Green || x.choice.assigned != s.Trial.Green || x.began:
		return false
	case x.req.Method != message.GET && x.req.Method != message.HEAD && x.req.Method != message.OPTIONS:
		return false
	case x.req.Upgrade || x.socket.stream != nil || x.upload.stream || x.attempts >= s.Tries:
		return false
	case x.others() < 0 || !s.Budget.Withdraw(x.proxy.options.Now()):
		return false
	}
	v.moved = true
	return true
}

// timeLeft reports that there is time for another try.
func (x *Exchange) timeLeft() bool { return x.deadline == 0 || x.proxy.options.Now() < x.deadline }

// others is the group beside the one on trial that has most weight of those with a healthy peer, -1 without any: one without weight gets nothing.
func (x *Exchange) others() int {
	s, best := x.service, -1
	for i := range s.Groups {
		if i == s.Trial.Green || s.Shares[i].Weight == 0 || best >= 0 && s.Shares[i].Weight <= s.Shares[best].Weight {
			continue
		}
		if live := s.Groups[i].Pool.Live(); live.Len() > 0 && !live.Fallback() {
			best = i
		}
	}
	return best
}
