package message

// ID names the fields that the data path acts on, so that it compares a byte where it would compare strings.
type ID uint8

// The known fields. Those from Connection to Upgrade describe one connection and are never forwarded as they came (RFC 9110 §7.6.1;
// the two Proxy-Auth fields are between us and the client, §11.7). Trailer is not among them: trailers are forwarded, so is their announcement.
const (
	Other ID = iota
	Connection
	KeepAlive
	ProxyConnection
	ProxyAuthenticate
	ProxyAuthorization
	TE
	TransferEncoding
	Upgrade

	Trailer
	ContentLength
	Host
	Expect
	Date
	Server
	ContentType
	Accept
	UserAgent
	Referer
	Authorization
	Cookie
	Forwarded
	XForwardedFor
	XForwardedProto
	XForwardedHost
	XForwardedPort
	XRealIP
	ClientCert
	ClientCertChain
	XClientCertSubject
	XClientCertFingerprint
	EarlyData
	XWeirShadow
	XRequestID
	RetryAfter
	AltSvc
	Traceparent
	Tracestate
)

// HopByHop reports whether the field belongs to one connection only.
func (id ID) HopByHop() bool { return id >= Connection && id <= Upgrade }

// Identity reports whether the field says who the client is, or whether there is one. Requests are forwarded without them: a client can write anything there, so the proxy writes its own.
func (id ID) Identity() bool { return id >= Forwarded && id <= XRequestID }

// IDOf finds the ID of a name, without case. An underscore counts as a hyphen: CGI-style backends fold both to the same variable, so
// "X_Forwarded_For" must not slip past what removes "X-Forwarded-For".
func IDOf[T ~[]byte | ~string](name T) ID {
	switch len(name) {
	case 2:
		return match(name, "te", TE)
	case 4:
		return pick(match(name, "host", Host), match(name, "date", Date))
	case 6:
		return pick(match(name, "expect", Expect), pick(match(name, "server", Server), pick(match(name, "accept", Accept), match(name, "cookie", Cookie))))
	case 7:
		return pick(match(name, "upgrade", Upgrade), pick(match(name, "trailer", Trailer), pick(match(name, "referer", Referer), match(name, "alt-svc", AltSvc))))
	case 9:
		return pick(match(name, "x-real-ip", XRealIP), match(name, "forwarded", Forwarded))
	case 10:
		return pick(match(name, "connection", Connection), pick(match(name, "keep-alive", KeepAlive), pick(match(name, "user-agent", UserAgent), pick(match(name, "early-data", EarlyData), match(name, "tracestate", Tracestate)))))
	case 11:
		return pick(match(name, "retry-after", RetryAfter), pick(match(name, "client-cert", ClientCert), match(name, "traceparent", Traceparent)))
	case 12:
		return pick(match(name, "content-type", ContentType), match(name, "x-request-id", XRequestID))
	case 13:
		return pick(match(name, "authorization", Authorization), match(name, "x-weir-shadow", XWeirShadow))
	case 14:
		return match(name, "content-length", ContentLength)
	case 15:
		return match(name, "x-forwarded-for", XForwardedFor)
	case 16:
		return pick(match(name, "x-forwarded-host", XForwardedHost), pick(match(name, "x-forwarded-port", XForwardedPort), match(name, "proxy-connection", ProxyConnection)))
	case 17:
		return pick(match(name, "transfer-encoding", TransferEncoding), pick(match(name, "x-forwarded-proto", XForwardedProto), match(name, "client-cert-chain", ClientCertChain)))
	case 18:
		return match(name, "proxy-authenticate", ProxyAuthenticate)
	case 19:
		return match(name, "proxy-authorization", ProxyAuthorization)
	case 21:
		return match(name, "x-client-cert-subject", XClientCertSubject)
	case 25:
		return match(name, "x-client-cert-fingerprint", XClientCertFingerprint)
	}
	return Other
}

func match[T ~[]byte | ~string](name T, known string, id ID) ID {
	for i := 0; i < len(name); i++ {
		c := lower(name[i])
		if c == '_' {
			c = '-'
		}
		if c != known[i] {
			return Other
		}
	}
	return id
}

func pick(a, b ID) ID {
	if a != Other {
		return a
	}
	return b
}
