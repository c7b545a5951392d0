package files

import "github.com/valor-ivx/weir/proxy/message"

// AcceptsPage reports a client that asks for HTML by name: a browser that opens an address. "*/*" is what scripts, images and tools say.
func AcceptsPage(h *message.Header) bool {
	for i := h.Find(message.Accept, 0); i >= 0; i = h.Find(message.Accept, i+1) {
		for list := h.At(i).Value(); len(list) > 0; {
			var item []byte
			item, list = message.NextToken(list)
			if token, weight := message.Weighed(item); weight > 0 && message.EqualFold(token, "text/html") {
				return true
			}
		}
	}
	return false
}
