// Package trace takes part in distributed traces: it reads and writes W3C Trace Context, decides which requests are sampled, turns what was timed of a finished request into OpenTelemetry
// spans and exports them by OTLP, over HTTP or gRPC.
//
// Spans are made after the fact. A request that is not sampled makes none and leaves nothing behind; one that is fills a Request and hands it over when it has ended, and never waits: what the
// bounded queue has no room for, and what a collector does not take, is dropped and counted.
//
// It refuses to be a tracing API: nothing can be added to a span while a request runs, there are no processors, baggage or links, and no variable of the environment is read. ADR 23 says why the
// OpenTelemetry SDK is not used for this.
package trace
