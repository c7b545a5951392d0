// Package header makes the security fields of responses: presets and an operator's own, compiled to ready lines, the same on every final response whoever made
// it. It replaces or adds whole fields; it does not rewrite what is in them, and it never touches those that frame a message.
package header
