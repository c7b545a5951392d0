// Package csp collects what browsers report of Content-Security-Policies: it reads both forms that reports have, counts them by directive, and keeps the kinds
// that were seen last. Reports come from anybody and say what they like: nothing of them becomes a metric label but what is in a closed set, queries and
// fragments are cut off because they carry secrets, and how much is kept, and how much a client may send, is bounded.
package csp
