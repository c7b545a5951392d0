package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Precondition is what a request makes depend on the version that is there (RFC 9110 §13.1). It is exported because huma skips embedded structs that are not.
type Precondition struct {
	IfMatch     string `header:"If-Match" maxLength:"1024" doc:"Do it only to the version with this ETag, or to whichever there is for *"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1024" doc:"Do it only to another version than the one with this ETag, or only when there is none for *"`
}

// etag is the strong entity tag of a version. Versions count upwards, so that none comes back.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// given reports whether there is a precondition at all.
func (p Precondition) given() bool { return p.IfMatch != "" || p.IfNoneMatch != "" }

// holds reports whether a write may change the version that is there; 0 is that there is none.
func (p Precondition) holds(version int64) bool {
	// §13.2.2: If-Match first, which compares strongly: a weak tag matches nothing.
	if p.IfMatch != "" && !(version > 0 && tagged(p.IfMatch, version, false)) {
		return false
	}
	return p.IfNoneMatch == "" || !(version > 0 && tagged(p.IfNoneMatch, version, true))
}

// unchanged reports whether a reader has this version already.
func (p Precondition) unchanged(version int64) bool {
	return version > 0 && p.IfNoneMatch != "" && tagged(p.IfNoneMatch, version, true)
}

// tagged looks for a version in a list of tags. Tags of ours have no comma inside, so a comma ends a tag.
func tagged(list string, version int64, weak bool) bool {
	if strings.TrimSpace(list) == "*" {
		return true
	}
	want := etag(version)
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == want {
			return true
		}
	}
	return false
}

// conflict refuses a write to a version that is not there any more, and says which one is: 412 when a header named it, 409 when a field did.
func conflict(status int, version int64) error {
	p := problem(status, "it has been changed by somebody else meanwhile", &huma.ErrorDetail{Location: "version", Message: "is " + strconv.FormatInt(version, 10) + " now", Value: version})
	if version == 0 {
		return p
	}
	return huma.ErrorWithHeaders(p, http.Header{"Etag": {etag(version)}})
}

// notModified tells a reader that it has this version.
func notModified(version int64) error {
	return huma.ErrorWithHeaders(problem(http.StatusNotModified, ""), http.Header{"Etag": {etag(version)}})
}
