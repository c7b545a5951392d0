package upstream

import (
	"bufio"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"
)

// fileCache is a file parsed once per change of its time or size.
type fileCache[T any] struct {
	value T
	at    time.Time
	size  int64
}

// read returns the parsed file as it is now, the zero T when it cannot be read.
func (c *fileCache[T]) read(path string, parse func(*os.File) T) T {
	var none T
	f, err := os.Open(path)
	if err != nil {
		*c = fileCache[T]{}
		return none
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		*c = fileCache[T]{}
		return none
	}
	if !info.ModTime().Equal(c.at) || info.Size() != c.size {
		*c = fileCache[T]{value: parse(f), at: info.ModTime(), size: info.Size()}
	}
	return c.value
}

func parseHosts(f *os.File) map[string][]netip.Addr { return parseHostsFrom(f) }

// parseHostsFrom reads hosts(5): an address, then names; # starts a comment. Lines that are no such thing are passed over, as every resolver does.
func parseHostsFrom(r io.Reader) map[string][]netip.Addr {
	table := make(map[string][]netip.Addr)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		a, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, name := range words[1:] {
			name = plainName(name)
			table[name] = append(table[name], a.Unmap())
		}
	}
	return table
}
