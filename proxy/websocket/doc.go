// Package websocket follows the frames of a WebSocket (RFC 6455 §5.2) as they pass through a proxy, so that the proxy can end it properly: between two messages, with a close frame of its own. It knows
// lengths and whether a frame closes, and refuses to know what is in them: payloads are masked, compressed or whatever an extension makes of them.
package websocket
