package http2

// staticName is the first index in RFC 7541 appendix A of a name that responses or requests use, 0 for others.
func staticName(name []byte) uint64 {
	switch len(name) {
	case 3:
		return among(name, static{"age", 21}, static{"via", 60})
	case 4:
		return among(name, static{"date", 33}, static{"etag", 34}, static{"vary", 59}, static{"link", 45})
	case 5:
		return among(name, static{"allow", 22}, static{":path", 4}, static{"range", 50})
	case 6:
		return among(name, static{"server", 54}, static{"cookie", 32}, static{"accept", 19})
	case 7:
		return among(name, static{"expires", 36}, static{"refresh", 52}, static{"referer", 51}, static{":method", 2})
	case 8:
		return among(name, static{"location", 46})
	case 10:
		return among(name, static{"set-cookie", 55}, static{"user-agent", 58}, static{":authority", 1})
	case 11:
		return among(name, static{"retry-after", 53})
	case 12:
		return among(name, static{"content-type", 31})
	case 13:
		return among(name, static{"cache-control", 24}, static{"last-modified", 44}, static{"content-range", 30}, static{"accept-ranges", 18},
			static{"authorization", 23}, static{"if-none-match", 41})
	case 14:
		return among(name, static{"content-length", 28})
	case 15:
		return among(name, static{"accept-encoding", 16}, static{"accept-language", 17})
	case 16:
		return among(name, static{"content-encoding", 26}, static{"content-language", 27}, static{"content-location", 29}, static{"www-authenticate", 61})
	case 17:
		return among(name, static{"transfer-encoding", 57}, static{"if-modified-since", 40})
	case 19:
		return among(name, static{"content-disposition", 25})
	case 25:
		return among(name, static{"strict-transport-security", 56})
	case 27:
		return among(name, static{"access-control-allow-origin", 20})
	}
	return 0
}

type static struct {
	name  string
	index uint64
}

func among(name []byte, entries ...static) uint64 {
	for i := range entries {
		if string(name) == entries[i].name {
			return entries[i].index
		}
	}
	return 0
}

// staticStatus is the index of a whole :status field, 0 if the table has none.
func staticStatus(status int) byte {
	switch status {
	case 200:
		return 8
	case 204:
		return 9
	case 206:
		return 10
	case 304:
		return 11
	case 400:
		return 12
	case 404:
		return 13
	case 500:
		return 14
	}
	return 0
}
