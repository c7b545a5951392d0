package proxy

import "github.com/valor-ivx/weir/proxy/message"

// Agents are words by which clients that are programs are known. nil: none.
type Agents [][]byte

// NewAgents takes the words; letter case does not matter.
func NewAgents(words []string) Agents {
	var a Agents
	for _, w := range words {
		a = append(a, []byte(w))
	}
	return a
}

// agentBytes is how much of a User-Agent is looked at. Those of known robots name themselves well before; it bounds what a client can have searched.
const agentBytes = 512

// match reports whether the request's User-Agent has one of the words.
func (a Agents) match(h *message.Header) bool {
	if a == nil {
		return false
	}
	i := h.Find(message.UserAgent, 0)
	if i < 0 {
		return false
	}
	value := h.At(i).Value()
	value = value[:min(len(value), agentBytes)]
	for _, word := range a {
		for j := 0; j+len(word) <= len(value); j++ {
			if message.EqualFold(value[j:j+len(word)], string(word)) {
				return true
			}
		}
	}
	return false
}
