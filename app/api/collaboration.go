package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/store"
)

const collaborationPath = "/ws/collaboration"

// tokenProtocol is how a browser, whose WebSocket takes no header, sends its token: as a subprotocol that is offered and never chosen. In the URL it would be
// in every log on the way.
const tokenProtocol = "bearer."

// collaborate makes a request a connection of collaboration, for who may.
func (s *service) collaborate(w http.ResponseWriter, r *http.Request) {
	if !sameOrigin(r) { // before the token: another site's page has that user's browser, and in a demo needs nothing more
		s.Metrics.Sockets.Refused.Origin.Inc()
		writeProblem(w, http.StatusForbidden, "the page that asks is of another origin")
		return
	}
	who, challenge, detail := s.whoConnects(r)
	if detail != "" {
		s.Metrics.Sockets.Refused.Unauthorized.Inc()
		w.Header().Set("WWW-Authenticate", challenge)
		writeProblem(w, http.StatusUnauthorized, detail)
		return
	}
	if t := r.Header.Get("X-Tenant-ID"); t != "" && t != who.Tenant {
		s.Metrics.Sockets.Refused.Unauthorized.Inc()
		writeProblem(w, http.StatusNotFound, "there is no such tenant")
		return
	}
	if r.ProtoMajor != 1 || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") || r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		writeProblem(w, http.StatusUpgradeRequired, "this is a WebSocket (RFC 6455), version 13")
		return
	}
	if err := s.Collab.Serve(w, r, who); err != nil {
		w.Header().Set("Retry-After", "1")
		writeProblem(w, http.StatusServiceUnavailable, err.Error())
	}
}

// whoConnects is who a request speaks for; with a detail, nobody.
func (s *service) whoConnects(r *http.Request) (who collab.Who, challenge, detail string) {
	token, has := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !has {
		token, has = offeredToken(r.Header)
	}
	if !has {
		if o := demoOwner(); s.Demo && r.Header.Get("Authorization") == "" {
			return collab.Who{Tenant: o.Tenant, User: o.User}, "", ""
		}
		return who, `Bearer realm="valor"`, "an access token is required: Authorization: Bearer, or the subprotocol " + tokenProtocol + "TOKEN beside " + collab.Subprotocol
	}
	is, until, err := s.accounts.tokens.ParseUntil(strings.TrimSpace(token), s.Now())
	if err != nil {
		return who, `Bearer realm="valor", error="invalid_token"`, err.Error()
	}
	o := store.Owner{Tenant: is.Tenant, User: is.User}
	return collab.Who{Tenant: o.Tenant, User: o.User, Until: until}, "", ""
}

func offeredToken(h http.Header) (string, bool) {
	for _, list := range h["Sec-Websocket-Protocol"] {
		for _, name := range strings.Split(list, ",") {
			if token, ok := strings.CutPrefix(strings.TrimSpace(name), tokenProtocol); ok {
				return token, true
			}
		}
	}
	return "", false
}

// sameOrigin lets in programs, which send no Origin, and pages of the host that is asked. The scheme is the edge's to know.
func sameOrigin(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	return len(origins) == 1 && err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

func hasToken(h http.Header, name, token string) bool {
	for _, list := range h[name] {
		for _, v := range strings.Split(list, ",") {
			if strings.EqualFold(strings.TrimSpace(v), token) {
				return true
			}
		}
	}
	return false
}

// describeCollaboration puts into the document what OpenAPI can say of a WebSocket: how it begins.
func describeCollaboration(a huma.API) {
	problem := func(text string) *huma.Response {
		return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/problem+json": {Schema: &huma.Schema{Ref: "#/components/schemas/ErrorModel"}}}}
	}
	a.OpenAPI().AddOperation(&huma.Operation{
		OperationID: "collaboration", Method: http.MethodGet, Path: collaborationPath, Tags: []string{"collaboration"}, Summary: "Work on a document together",
		Description: "A WebSocket (RFC 6455) of JSON messages, which docs/api.md describes. A browser offers the subprotocols " + collab.Subprotocol + " and " + tokenProtocol + "TOKEN.",
		Security:    bearer(),
		Responses: map[string]*huma.Response{
			"101": {Description: "The connection speaks WebSocket from here on"}, "401": problem("No token that is good"), "403": problem("A page of another origin"),
			"404": problem("X-Tenant-ID is another's"), "426": problem("Not a WebSocket handshake"), "503": problem("Too many connections, or the service is stopping"),
		},
	})
}
