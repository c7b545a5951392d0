package auth_test

import (
	"encoding/base64"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/message"
)

func bcrypted(t testing.TB, password string, cost int) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func userAndPassword(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// asked is a request with these Authorization fields.
func asked(values ...string) *auth.Request {
	h := &message.Header{}
	for _, v := range values {
		h.Add("Authorization", v)
	}
	return &auth.Request{Header: h, Now: time.Unix(1_000_000, 0)}
}

func opened(t testing.TB, lines string) (*auth.Basic, string) {
	t.Helper()
	path := written(t, lines)
	b, err := auth.OpenBasic(auth.BasicOptions{Name: "staff", Realm: "the office", UsersFile: path, Work: auth.NewWork(2)})
	if err != nil {
		t.Fatal(err)
	}
	return b, path
}

// Hashes of "password" by htpasswd and openssl passwd.
const (
	apr1   = "$apr1$xxxxxxxx$dxHfLAsjHkDRmG83UXe8K0"
	sha1   = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="
	sha512 = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
)

func TestBasicCredentials(t *testing.T) {
	b, _ := opened(t, "# staff\n\nann:"+bcrypted(t, "s3cret: and more", bcrypt.MinCost)+"\nbob:"+sha1+"\ncarl:"+apr1+"\ndora:"+sha512+"\n")
	good := userAndPassword("ann", "s3cret: and more")
	for name, c := range map[string]struct {
		fields []string
		why    auth.Why
	}{
		"none":              {nil, auth.Missing},
		"wrong":             {[]string{userAndPassword("ann", "s3cret")}, auth.Invalid},
		"unknown user":      {[]string{userAndPassword("eve", "s3cret: and more")}, auth.Invalid},
		"case of the name":  {[]string{userAndPassword("Ann", "s3cret: and more")}, auth.Invalid},
		"two fields":        {[]string{good, good}, auth.Invalid},
		"two, one good":     {[]string{"Bearer x", good}, auth.Invalid},
		"another scheme":    {[]string{"Bearer " + good[6:]}, auth.Invalid},
		"no space":          {[]string{"Basic" + good[6:]}, auth.Invalid},
		"no credentials":    {[]string{"Basic "}, auth.Invalid},
		"not base64":        {[]string{"Basic a:b"}, auth.Invalid},
		"base64 and more":   {[]string{good + " x"}, auth.Invalid},
		"loose last bits":   {[]string{"Basic YWI6Y3="}, auth.Invalid},
		"no colon":          {[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte("ann"))}, auth.Invalid},
		"NUL":               {[]string{userAndPassword("bob", "password\x00x")}, auth.Invalid},
		"the hash itself":   {[]string{userAndPassword("bob", sha1)}, auth.Invalid},
		"much too long":     {[]string{"Basic " + strings.Repeat("QUFB", 600)}, auth.Invalid},
		"empty":             {[]string{userAndPassword("", "")}, auth.Invalid},
		"name of a comment": {[]string{userAndPassword("# staff", "")}, auth.Invalid},
	} {
		v := b.Authenticate(asked(c.fields...))
		if v.Denial == nil || v.Denial.Why != c.why || v.Denial.Status != 401 || v.User != nil || v.Fields != nil ||
			v.Denial.Challenge != `Basic realm="the office", charset="UTF-8"` {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, value := range map[string]string{
		"ann": good, "bob": userAndPassword("bob", "password"), "carl": userAndPassword("carl", "password"), "dora": userAndPassword("dora", "password"),
	} {
		for range 2 { // the second time from memory
			if v := b.Authenticate(asked("bAsic" + strings.Repeat(" ", len(name)) + value[6:])); v.Denial != nil || string(v.User) != name || string(v.Fields) != "X-Forwarded-User: "+name+"\r\n" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
	for name, want := range map[string]bool{"x-forwarded-user": true, "X_Forwarded_User": true, "X-FORWARDED_user": true, "X-Forwarded-Users": false, "XxForwarded-User": false} {
		if b.Owns([]byte(name)) != want {
			t.Errorf("%s: owned %t", name, !want)
		}
	}
}

// TestUsersFileMistakes: the error names the line and no hash; who could log in still can.
func TestUsersFileMistakes(t *testing.T) {
	b, path := opened(t, "bob:"+sha1+"\n")
	for text, want := range map[string]string{
		"ann:secret\n":                          "list.txt:1: the hash is of no kind",
		"bob:" + sha1 + "\nann:rqXexS6ZhobKA\n": "list.txt:2: the hash is of no kind",
		"bob\n":                                 "list.txt:1: no colon",
		":" + sha1 + "\n":                       "list.txt:1: the user's name",
		"a\tb:" + sha1 + "\n":                   "list.txt:1: the user's name",
		"a\rb:" + sha1 + "\n":                   "list.txt:1: the user's name",
		" bob:" + sha1 + "\n":                   "list.txt:1: the user's name",
		"bob:" + sha1 + "\n\nbob:" + apr1:       "list.txt:3: the user is there already",
		"ann:$2y$05$short\n":                    "list.txt:1: the hash is broken",
		"ann:$2y$31$" + strings.Repeat("a", 53): "list.txt:1: bcrypt with a cost above 15",
		"ann:$6$rounds=999999999$s$x\n":         "list.txt:1: crypt with rounds=",
		"ann:{SHA}x\n":                          "list.txt:1: the hash is broken",
		"# nobody\n":                            "list.txt: no user",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := b.Reload()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
			continue
		}
		for _, secret := range []string{"secret", "rqXexS6ZhobKA", "W6ph5Mm5"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%v shows the hash", err)
			}
		}
		if v := b.Authenticate(asked(userAndPassword("bob", "password"))); v.Denial != nil {
			t.Errorf("%q: bob cannot log in any more", text)
		}
	}
}

// TestRevokedUserIsForgotten: who was verified a moment ago is refused once the file says so, and memory runs out by itself.
func TestRevokedUserIsForgotten(t *testing.T) {
	b, path := opened(t, "ann:"+sha1+"\nbob:"+sha1+"\n")
	in := asked(userAndPassword("ann", "password"))
	if v := b.Authenticate(in); v.Denial != nil {
		t.Fatal("ann cannot log in")
	}
	if err := os.WriteFile(path, []byte("bob:"+sha1+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if v := b.Authenticate(in); v.Denial == nil {
		t.Error("ann is gone from the file and gets in")
	}
}

// TestLoginFlood: beyond what may wait, logins are refused at once, and who is known passes meanwhile.
func TestLoginFlood(t *testing.T) {
	work := auth.NewWork(1)
	slow := written(t, "ann:"+bcrypted(t, "good", 10)+"\n")
	b, err := auth.OpenBasic(auth.BasicOptions{Name: "staff", Realm: "x", UsersFile: slow, Work: work})
	if err != nil {
		t.Fatal(err)
	}
	ann := asked(userAndPassword("ann", "good"))
	if v := b.Authenticate(ann); v.Denial != nil {
		t.Fatal("ann cannot log in")
	}
	var flood sync.WaitGroup
	var mu sync.Mutex
	refused := map[auth.Why]int{}
	for range 300 {
		flood.Go(func() {
			v := b.Authenticate(asked(userAndPassword("ann", "bad")))
			mu.Lock()
			defer mu.Unlock()
			refused[v.Denial.Why]++
		})
	}
	for range 1000 {
		if v := b.Authenticate(ann); v.Denial != nil {
			t.Error("ann waits for the flood")
			break
		}
	}
	flood.Wait()
	if refused[auth.Busy] < 100 || refused[auth.Invalid] == 0 || refused[auth.Busy]+refused[auth.Invalid] != 300 {
		t.Errorf("of 300 bad logins: %v", refused)
	}
}

// TestUnknownUserTakesAsLong: a name that is not there costs a verification too, so that time does not tell names.
func TestUnknownUserTakesAsLong(t *testing.T) {
	b, _ := opened(t, "quick:"+sha1+"\nann:"+bcrypted(t, "good", 7)+"\n")
	least := func(name string) time.Duration {
		best := time.Hour
		for range 5 {
			from := time.Now()
			b.Authenticate(asked(userAndPassword(name, "bad")))
			best = min(best, time.Since(from))
		}
		return best
	}
	known, unknown := least("ann"), least("nobody")
	if unknown < known/100 { // {SHA} would be a ten thousandth; a machine that is busy stretches either tenfold
		t.Errorf("known %s, unknown %s", known, unknown)
	}
}

func TestKnownUserAllocatesNothing(t *testing.T) {
	b, _ := opened(t, "ann:"+sha1+"\n")
	in := asked(userAndPassword("ann", "password"))
	b.Authenticate(in)
	if n := testing.AllocsPerRun(1000, func() {
		if v := b.Authenticate(in); v.Denial != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzUsersFile: whatever a file holds, it is read or refused, and nobody gets in with nothing.
func FuzzUsersFile(f *testing.F) {
	f.Add("bob:" + sha1 + "\n")
	f.Add("carl:" + apr1 + "\n#x\n\ndora:" + sha512)
	f.Add("a:$2y$05$abcdefghijklmnopqrstuuO5OUx1rYkJ3TPDbhN5sC0hG3RmU5u1K")
	f.Add("a:{SSHA}x\n:\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "$2") {
			t.Skip() // a valid hash of bcrypt costs seconds
		}
		b, err := auth.OpenBasic(auth.BasicOptions{UsersFile: written(t, text), Work: auth.NewWork(1)})
		if err != nil {
			return
		}
		if v := b.Authenticate(asked()); v.Denial == nil {
			t.Error("nobody got in")
		}
	})
}

// FuzzAuthorization: no value of the field gets in that is not the one.
func FuzzAuthorization(f *testing.F) {
	b, _ := opened(f, "bob:"+sha1+"\n")
	f.Add(userAndPassword("bob", "password"))
	f.Add("Basic  Ym9iOnBhc3N3b3Jk")
	f.Add("Basic Ym9iOnBhc3N3b3Jk\tx")
	f.Add("Basic ====")
	f.Fuzz(func(t *testing.T, value string) {
		v := b.Authenticate(asked(value))
		if v.Denial != nil {
			return
		}
		token := strings.TrimLeft(value[len("Basic"):], " ")
		if plain, err := base64.StdEncoding.DecodeString(token); err != nil || string(plain) != "bob:password" {
			t.Errorf("%q got in", value)
		}
	})
}
