package observe

// The keys of the JSON logs: Elastic Common Schema names with dots, and what ECS has no name for under "weir.". Nothing logs under a key that is not
// in this list.
const (
	KeyTime          = "@timestamp"
	KeyLevel         = "log.level"
	KeyLogger        = "log.logger"
	KeyMessage       = "message"
	KeyECSVersion    = "ecs.version"
	KeyDataset       = "event.dataset"
	KeyDuration      = "event.duration" // nanoseconds, as ECS says
	KeyAction        = "event.action"   // of the audit log: what was asked for
	KeyOutcome       = "event.outcome"  // success or failure
	KeyError         = "error.message"
	KeyStack         = "error.stack_trace"
	KeyMethod        = "http.request.method"
	KeyRequestID     = "http.request.id"
	KeyTraceID       = "trace.id"
	KeySpanID        = "span.id"
	KeyRequestBytes  = "http.request.body.bytes"
	KeyReferer       = "http.request.referrer"
	KeyStatus        = "http.response.status_code"
	KeyResponseBytes = "http.response.body.bytes"
	KeyHTTPVersion   = "http.version"
	KeyURLOriginal   = "url.original" // the request target as received, secrets replaced
	KeyURLPath       = "url.path"
	KeyURLQuery      = "url.query"
	KeyURLDomain     = "url.domain"
	KeyURLPort       = "url.port"
	KeyURLScheme     = "url.scheme"
	KeyClientIP      = "client.ip"      // whom the request is for, behind trusted proxies
	KeySourceIP      = "source.ip"      // who opened the connection
	KeySource        = "source.address" // of the audit log: the address, or on a unix socket the user and process
	KeyUserAgent     = "user_agent.original"
	KeyUserName      = "user.name"
	KeyTLSVersion    = "tls.version"
	KeyTLSServerName = "tls.client.server_name"
	KeyTLSSubject    = "tls.client.subject" // of the client's verified certificate
	KeyFilePath      = "file.path"
	KeyServerAddress = "server.address"

	KeyAuditSubject = "weir.audit.subject" // the service that was written to; none for the edge as a whole
	KeyAuditToken   = "weir.audit.token"   // whether a token was asked for
	KeyAuditBefore  = "weir.audit.before"
	KeyAuditAfter   = "weir.audit.after"

	KeyListener         = "weir.listener"
	KeyRoute            = "weir.route"
	KeyService          = "weir.service"
	KeyGroup            = "weir.group"
	KeyPeer             = "weir.upstream.address"
	KeyUpstreamStatus   = "weir.upstream.status_code"
	KeyUpstreamDuration = "weir.upstream.duration" // nanoseconds, all attempts
	KeyAttempts         = "weir.attempts"
	KeyWAFRules         = "weir.waf.rules"
	KeyGRPCStatus       = "weir.grpc_status"
	KeyReason           = "weir.reason"
	KeyGeneration       = "weir.generation"
	KeySignal           = "weir.signal"
	KeyState            = "weir.state"
	KeySampleRate       = "weir.sample_rate"  // in lines that chance has let through: what share of their kind is written
	KeyMemoryLimit      = "weir.memory_limit" // bytes
)

// ecsVersion is the schema whose names these are.
const ecsVersion = "8.17.0"
