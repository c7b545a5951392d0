// Package clientip derives whom a request comes from when other proxies stand in front: from X-Forwarded-For, right to left, as far as the proxies that
// wrote it are trusted. Forwarded and X-Real-IP are never read: a proxy that keeps only X-Forwarded-For honest passes on whatever a client wrote into the
// others, so a second source is a way around the first. It holds no state and guesses nothing.
package clientip
