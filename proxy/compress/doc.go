// Package compress decides which answers are compressed on their way to a client, changes their heads accordingly, and compresses their bodies as they pass. It reads from nobody,
// buffers no body, keeps no compressed copies, and undoes no coding.
package compress
