package auth_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/valor-ivx/weir/app/auth"
)

const secret = "0123456789abcdef0123456789abcdef"

func tokens(t *testing.T, secret string) *auth.Tokens {
	t.Helper()
	v, err := auth.NewTokens(secret)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPasswords(t *testing.T) {
	const good = "Correct-horse-9"
	hash := auth.Hash(good)
	if again := auth.Hash(good); again == hash || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %s", hash, again)
	}
	long := "Aa1!" + strings.Repeat("x", 200)
	longHash := auth.Hash(long)
	for _, c := range []struct {
		hash, password string
		ok             bool
	}{{hash, good, true}, {hash, "Correct-horse-8", false}, {hash, "", false}, {longHash, long, true}, {longHash, long[:72], false}, {longHash, long + "x", false}} {
		if ok, err := auth.Verify(c.hash, c.password); ok != c.ok || err != nil {
			t.Errorf("%.20q: %v %v", c.password, ok, err)
		}
	}
	for _, bad := range []string{"", "x", "$2a$10$abcdefghijklmnopqrstuv", strings.Replace(hash, "m=19456", "m=1", 1), strings.Replace(hash, "v=19", "v=18", 1),
		strings.Replace(hash, "t=2", "t=1000000", 1), hash[:len(hash)-30]} {
		if ok, err := auth.Verify(bad, good); ok || err == nil {
			t.Errorf("%q: %v %v", bad, ok, err)
		}
	}
	for password, fine := range map[string]bool{
		good: true, "Short-1a": false, "no-upper-case-1": false, "NO-LOWER-CASE-1": false, "No-digit-in-here": false, "NoSpecial12345": false,
		"Pässwörter-1 sind gut": true, strings.Repeat("Aa1!", 257): false, "Aa1!\xff\xfeaaaaaaaaaa": false,
	} {
		if words := auth.CheckPassword(password); (words == "") != fine {
			t.Errorf("%.30q: %q", password, words)
		}
	}
}

func TestTokens(t *testing.T) {
	v := tokens(t, secret)
	now := time.Unix(1_800_000_000, 0)
	who := auth.Identity{User: "u1", Tenant: "t1"}
	token, err := v.Access(who, now)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key []byte, alg jose.SignatureAlgorithm, payload string) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		text, err := o.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	parts := strings.Split(token, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
	other, _ := tokens(t, secret+"x").Access(who, now)
	refresh, _ := auth.NewRefresh()
	for name, c := range map[string]struct {
		token string
		at    time.Time
		want  error
	}{
		"good":               {token, now.Add(time.Minute), nil},
		"at its end":         {token, now.Add(auth.AccessFor), nil},
		"after it":           {token, now.Add(auth.AccessFor + time.Minute), auth.ErrExpired},
		"from the future":    {token, now.Add(-time.Minute), auth.ErrInvalid},
		"another secret":     {other, now, auth.ErrInvalid},
		"no algorithm":       {none, now, auth.ErrInvalid},
		"secret as key":      {sign([]byte(secret), jose.HS256, `{"iss":"valor-ivx","sub":"u1","tid":"t1","typ":"access","exp":9999999999}`), now, auth.ErrInvalid},
		"stronger algorithm": {sign([]byte(secret+secret), jose.HS512, `{}`), now, auth.ErrInvalid},
		"refresh token":      {refresh, now, auth.ErrInvalid},
		"altered":            {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"valor-ivx","sub":"u2","tid":"t1","typ":"access","exp":9999999999}`)) + "." + parts[2], now, auth.ErrInvalid},
		"cut":                {token[:len(token)-2], now, auth.ErrInvalid},
		"empty":              {"", now, auth.ErrInvalid},
	} {
		got, err := v.Parse(c.token, c.at)
		if !errors.Is(err, c.want) || (err == nil) != (got == who) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if _, err := auth.NewTokens("short"); err == nil {
		t.Error("a short secret was taken")
	}
	if again, _ := auth.NewRefresh(); again == refresh || len(refresh) != 43 {
		t.Errorf("%s, %s", refresh, again)
	}
}
