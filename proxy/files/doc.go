// Package files finds the file that a request asks for in a folder and decides how it is sent: names, indexes, a page to fall back to, conditions, ranges, compressed siblings, how long
// it may be kept. It writes no answers, makes no listings, compresses nothing and follows no name out of its folder.
package files
