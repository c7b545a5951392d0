// Package deploy ships a group of a running weir's service: it waits until the group's targets are healthy, starts a rollout, follows it to its end, and says what came of it
// in words, in JSON and in Markdown.
//
// It decides nothing: the rollout is weir's, with or without anybody who follows it. What is here can be left at any moment and come back to; it calls the admin API, repeats a start
// only where the server says that there was none, and holds no state that the server has not.
package deploy
