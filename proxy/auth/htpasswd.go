package auth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/tg123/go-htpasswd"
	"golang.org/x/crypto/bcrypt"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	// mostCost bounds what one login may cost: bcrypt at 15 is about 2 s, each step above doubles it.
	mostCost = 15
	mostUser = 255 // bytes of a user name
)

// users are the contents of a password file. They never change.
type users struct {
	byName map[string]*user
	// decoy is verified for those who are not there, so that the time taken does not tell who is: the entry that costs most.
	decoy *user
}

type user struct {
	name   []byte
	fields []byte // lines for the upstream
	secret htpasswd.EncodedPasswd
	cost   int // rank by what verifying it takes
}

// readUsers reads an htpasswd file: "name:hash" a line, "#" begins a comment. bcrypt, crypt's SHA-256 and SHA-512, apr1, {SSHA} and {SHA} are known.
// Errors begin with the file's name and line and show nothing of the hash.
func readUsers(name string, from io.Reader) (*users, error) {
	us := &users{byName: map[string]*user{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, mostLine), mostLine)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimRight(lines.Bytes(), " \t\r")
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		u, err := parseUser(string(line))
		if err == nil && us.byName[string(u.name)] != nil {
			err = errTwice
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", filepath.Base(name), n, err)
		}
		us.byName[string(u.name)] = u
		if us.decoy == nil || us.decoy.cost < u.cost {
			us.decoy = u
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", filepath.Base(name), n+1, err)
	}
	if us.decoy == nil {
		return nil, fmt.Errorf("%s: no user in the file", filepath.Base(name))
	}
	return us, nil
}

var (
	errTwice  = errors.New("the user is there already")
	errColon  = errors.New("no colon: a line is name:hash")
	errName   = errors.New("the user's name is empty, too long or has control characters or spaces at its ends")
	errHash   = errors.New("the hash is of no kind that is known: bcrypt, $5$, $6$, $apr1$, {SSHA} or {SHA}; plain text and DES crypt are not")
	errBroken = errors.New("the hash is broken")
	errCost   = errors.New("bcrypt with a cost above 15 takes seconds for each login")
)

func parseUser(line string) (*user, error) {
	name, hash, found := strings.Cut(line, ":")
	switch {
	case !found:
		return nil, errColon
	case name == "" || len(name) > mostUser || !message.ValidValue(name) || strings.ContainsRune(name, '\t'):
		return nil, errName
	}
	u := &user{name: []byte(name), fields: []byte(userField + ": " + name + "\r\n")}
	var err error
	u.secret, u.cost, err = parseHash(hash)
	return u, err
}

// parseHash also tells what verifying costs: apr1 and {SHA} little, crypt's SHA about 5 ms, bcrypt twice as much with each step.
func parseHash(hash string) (secret htpasswd.EncodedPasswd, cost int, err error) {
	switch {
	case strings.HasPrefix(hash, "$2"):
		if cost, err = bcrypt.Cost([]byte(hash)); err != nil {
			return nil, 0, errBroken
		}
		if cost > mostCost {
			return nil, 0, errCost
		}
		secret, err = htpasswd.AcceptBcrypt(hash)
		cost += 100
	case strings.HasPrefix(hash, "$5$") || strings.HasPrefix(hash, "$6$"):
		if strings.HasPrefix(hash[3:], "rounds=") {
			return nil, 0, errors.New("crypt with rounds= is not supported: the default of 5,000 is")
		}
		secret, err = htpasswd.AcceptCryptSha(hash)
		cost = 3
	case strings.HasPrefix(hash, "$apr1$"):
		secret, err = htpasswd.AcceptMd5(hash)
		cost = 2
	case strings.HasPrefix(hash, "{SSHA}"):
		secret, err = htpasswd.AcceptSsha(hash)
	case strings.HasPrefix(hash, "{SHA}"):
		secret, err = htpasswd.AcceptSha(hash)
	default:
		return nil, 0, errHash
	}
	if err != nil || secret == nil {
		return nil, 0, errBroken
	}
	return secret, cost, nil
}
