// Package route decides which route serves a request: a pure function of host and path over an immutable table.
//
// The host decides first, then the path. There is no fall-through: once a host pattern has been chosen, only the routes that
// name it are looked at, as with nginx's server blocks and Caddy's site blocks. A private host can so never expose, by a missing
// path, what a catch-all route serves; a route that should answer everywhere names its hosts.
//
//	step  what is tried                     wins
//	1     exact host                        "www.example.com"
//	2     wildcard host, any depth          the longest: "*.eu.example.com" before "*.example.com"; never "example.com" itself
//	3     routes without a host             when nothing above names the host
//	4     exact path, "=/login"             over every other path of that host
//	5     regex, "~\.php$"                  the first in file order that matches; unanchored, RE2, "." also matches a newline
//	6     prefix, "/api"                    the longest; "/api" takes /api and /api/x but not /apix, "/api/" only what is below
//
// Steps 4 to 6 are nginx's order of locations, because its configurations are what people bring along: a regex is taken to be more
// particular than any prefix, whatever their lengths. There is no "^~"; put what must not be caught by a regex into an exact path
// or leave the regex out of that host.
//
// Hosts are compared without case, port and trailing dot, IPv6 literals by value. Paths are compared by case, in the reading in
// which every percent-encoded byte stands decoded except the slash, the backslash, the percent sign and controls: /%61pi is /api,
// /caf%C3%A9 is /café, but a%2Fb stays one segment. Canonical makes the one form of a path that is matched and forwarded.
//
// The package refuses to merge slashes, to decode what it forwards, to look at anything but host and path, and to clamp a path
// that climbs above the root: that is an error, as in nginx, and not RFC 3986's silent "/".
package route
