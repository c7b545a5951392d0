// Package nginx translates a configuration of nginx into one of Weir and says of every directive what became of it.
//
// It reads as nginx does (lexer.go follows ngx_conf_read_token, parse.go ngx_conf_parse and include), so that what nginx refuses is refused here with a
// position, and what nginx takes is taken. The result is text that `weir check` accepts, with the place that each part comes from, and a report in which each
// directive is translated, translated with a note on what differs, or not translated.
//
// Where a location asks for what Weir cannot do (rewrite, return of a text, proxy_pass to another path), its requests are refused (403) and not left to the next
// shorter location: nothing is opened, and nothing arrives where it was not meant to, because a line could not be carried over.
//
// It refuses to guess: a directive it does not know is not translated, never skipped. It serves nothing, starts nothing, resolves no name, and reads no file but
// the configuration and what that includes.
package nginx
