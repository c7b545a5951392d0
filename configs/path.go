package configs

import (
	"strconv"
	"strings"
)

// A path names a value in a file: bare keys joined by dots, others quoted, array elements by index:
// listener[0].address, service."a b".group.blue.targets[1].weight. The empty path is the whole file.

// joinKey appends a table key to a path.
func joinKey(path, key string) string {
	if !isBare(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// joinIndex appends an array index to a path.
func joinIndex(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}

func isBare(key string) bool {
	for i := range len(key) {
		if c := key[i]; !isAlnum(c) && c != '-' && c != '_' {
			return false
		}
	}
	return key != ""
}

// splitPath cuts a path into its keys and "[i]" segments.
func splitPath(path string) []string {
	var segments []string
	start := 0
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '"':
			i = skipQuoted(path, i)
		case '.', '[':
			segments = appendSegment(segments, path[start:i])
			start = i
		}
	}
	return appendSegment(segments, path[start:])
}

func appendSegment(segments []string, s string) []string {
	if s = strings.TrimPrefix(s, "."); s == "" {
		return segments
	}
	return append(segments, s)
}

// parentPath gives the path of the table or array that holds path.
func parentPath(path string) string {
	last := 0
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '"':
			i = skipQuoted(path, i)
		case '.', '[':
			last = i
		}
	}
	return path[:last]
}

// skipQuoted gives the index of the quote that closes the one at i; strconv.Quote made both.
func skipQuoted(path string, i int) int {
	for i++; i < len(path) && path[i] != '"'; i++ {
		if path[i] == '\\' {
			i++
		}
	}
	return i
}

// lastKey gives the last key of a path without index, for use in messages.
func lastKey(path string) string {
	segments := splitPath(path)
	for i := len(segments) - 1; i >= 0; i-- {
		if !strings.HasPrefix(segments[i], "[") {
			return segments[i]
		}
	}
	return path
}
