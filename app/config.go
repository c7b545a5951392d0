package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config is everything the environment says. It is a value; Load makes valid ones.
type Config struct {
	Address string // host:port to listen on
	// DatabasePath is the SQLite file; "" when Postgres is set, which is the connection string of a PostgreSQL database and may have a password.
	DatabasePath     string
	Postgres         Secret
	DatabaseConns    int           // 0: the store's default
	StatementTimeout time.Duration // 0: the store's default
	// CacheRedis is the URL of a Redis and may have a password; "": answers are kept in CacheBytes of memory, or not at all when that is 0.
	CacheRedis Secret
	CacheBytes int64
	CacheTTL   time.Duration
	// Secret signs access tokens. It is never logged.
	Secret  Secret
	Color   string
	Demo    bool
	TLSCert string // both or neither
	TLSKey  string

	// DrainDelay is how long the service goes on after it was told to stop, while it says that it is not ready.
	DrainDelay time.Duration

	ProviderURL string // of figures; "" for those that are shipped
	ProviderKey Secret

	FaultErrors  float64 // share of requests to fail, demo only
	FaultLatency time.Duration

	// Warnings are for the log, once there is one.
	Warnings []string
}

// Secret prints as a placeholder, so that no log or error can leak it.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// defaultAddress is for this machine alone.
const defaultAddress = "127.0.0.1:5002"

// minSecret is the key length below which HMAC-SHA-256 is weaker than its hash (RFC 7518, 3.2).
const minSecret = 32

// Load reads the VALOR_* variables and reports every error at once.
func Load(getenv func(string) string) (Config, error) {
	getenv, errs := fromFiles(getenv, "VALOR_DATABASE", "VALOR_CACHE", "VALOR_JWT_SECRET", "VALOR_PROVIDER_KEY")
	if len(errs) > 0 {
		return Config{}, errors.Join(errs...) // what would be said of the values without them misleads
	}
	env := func(name, fallback string) string {
		if v := getenv(name); v != "" {
			return v
		}
		return fallback
	}
	c := Config{
		Address: env("VALOR_ADDRESS", defaultAddress),
		Color:   env("VALOR_COLOR", ""),
		TLSCert: env("VALOR_TLS_CERT", ""),
		TLSKey:  env("VALOR_TLS_KEY", ""),
	}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	switch mode := env("VALOR_ENV", "production"); mode {
	case "production":
	case "demo":
		c.Demo = true
	default:
		fail("VALOR_ENV: %q is neither production nor demo", mode)
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		fail("VALOR_ADDRESS: %q is not host:port", c.Address)
	}
	if !isColor(c.Color) {
		fail("VALOR_COLOR: %q is not 1 to 32 of a-z, 0-9 and -", c.Color)
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fail("VALOR_TLS_CERT and VALOR_TLS_KEY: set both or neither")
	}
	errs = append(errs, c.loadDatabase(databaseOf(getenv), getenv("VALOR_DATABASE_CONNECTIONS"), getenv("VALOR_DATABASE_TIMEOUT")))
	errs = append(errs, c.loadCache(env("VALOR_CACHE", "memory"), getenv("VALOR_CACHE_SIZE"), env("VALOR_CACHE_TTL", "5m")))
	errs = append(errs, c.loadSecret(getenv("VALOR_JWT_SECRET")),
		c.loadFault(getenv("VALOR_FAULT_ERRORS"), getenv("VALOR_FAULT_LATENCY")),
		c.loadDrain(getenv("VALOR_DRAIN_DELAY")), c.loadProvider(getenv("VALOR_PROVIDER_URL"), getenv("VALOR_PROVIDER_KEY")))
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func databaseOf(getenv func(string) string) string {
	if v := getenv("VALOR_DATABASE"); v != "" {
		return v
	}
	return "file:valor.db"
}

func (c *Config) loadDatabase(v, conns, timeout string) error {
	var errs []error
	if path, ok := strings.CutPrefix(v, "file:"); ok {
		// The pragmas are ours: parameters would be silently void, so they are refused.
		if path == "" || strings.ContainsAny(path, "?#") || strings.HasPrefix(path, ":memory:") {
			errs = append(errs, fmt.Errorf("VALOR_DATABASE: %q is not file:PATH with a plain path", v))
		}
		c.DatabasePath = path
		if timeout != "" {
			errs = append(errs, errors.New("VALOR_DATABASE_TIMEOUT: only with a postgres://… database"))
		}
	} else if strings.HasPrefix(v, "postgres://") || strings.HasPrefix(v, "postgresql://") {
		c.Postgres = Secret(v)
	} else {
		errs = append(errs, errors.New("VALOR_DATABASE: the value is neither file:PATH nor postgres://…")) // it is not shown: it may be a connection string
	}
	if conns != "" {
		n, err := strconv.Atoi(conns)
		if err != nil || n < 1 || n > 1000 {
			errs = append(errs, fmt.Errorf("VALOR_DATABASE_CONNECTIONS: %q is not a number from 1 to 1000", conns))
		}
		c.DatabaseConns = n
	}
	if timeout != "" {
		d, err := time.ParseDuration(timeout)
		if err != nil || d < 10*time.Millisecond || d > writeTimeout {
			errs = append(errs, fmt.Errorf("VALOR_DATABASE_TIMEOUT: %q is not a time from 10ms to %v", timeout, writeTimeout))
		}
		c.StatementTimeout = d
	}
	return errors.Join(errs...)
}

const (
	defaultCacheMiB = 64
	maxCacheMiB     = 1 << 20
)

func (c *Config) loadCache(v, size, ttl string) error {
	var errs []error
	scheme, _, _ := strings.Cut(v, "://")
	switch {
	case v == "memory":
		c.CacheBytes = defaultCacheMiB << 20
	case v == "off":
	case scheme != v && (scheme == "redis" || scheme == "rediss" || scheme == "unix"):
		c.CacheRedis = Secret(v)
	default:
		errs = append(errs, errors.New("VALOR_CACHE: the value is none of memory, off, redis://…, rediss://… and unix://…")) // not shown: it may be a URL with a password
	}
	if size != "" {
		digits, ok := strings.CutSuffix(size, "MiB")
		n, err := strconv.ParseInt(digits, 10, 64)
		switch {
		case v != "memory":
			errs = append(errs, errors.New("VALOR_CACHE_SIZE: only with VALOR_CACHE=memory; a Redis has its own maxmemory"))
		case !ok || err != nil || n < 1 || n > maxCacheMiB:
			errs = append(errs, fmt.Errorf("VALOR_CACHE_SIZE: %q is not a size from 1MiB to %dMiB", size, maxCacheMiB))
		}
		c.CacheBytes = n << 20
	}
	d, err := time.ParseDuration(ttl)
	if err != nil || d < time.Second || d > 30*24*time.Hour {
		errs = append(errs, fmt.Errorf("VALOR_CACHE_TTL: %q is not a time from 1s to 720h", ttl))
	}
	c.CacheTTL = d
	return errors.Join(errs...)
}

func (c *Config) loadSecret(v string) error {
	switch {
	case v == "" && c.Demo:
		// 26 letters of base32 carry 128 bits and more; two make a key of 52 bytes.
		c.Secret = Secret(rand.Text() + rand.Text())
		c.Warnings = append(c.Warnings, "VALOR_JWT_SECRET is not set: generated one for this process alone")
		return nil
	case v == "":
		return errors.New("VALOR_JWT_SECRET: required in production")
	case len(v) < minSecret:
		return fmt.Errorf("VALOR_JWT_SECRET: needs %d bytes or more", minSecret)
	}
	c.Secret = Secret(v)
	return nil
}

func (c *Config) loadFault(share, latency string) error {
	if share == "" && latency == "" {
		return nil
	}
	if !c.Demo {
		return errors.New("VALOR_FAULT_ERRORS and VALOR_FAULT_LATENCY: only with VALOR_ENV=demo")
	}
	var errs []error
	if share != "" {
		v, err := strconv.ParseFloat(share, 64)
		if err != nil || !(v >= 0 && v <= 1) {
			errs = append(errs, fmt.Errorf("VALOR_FAULT_ERRORS: %q is not a share from 0 to 1", share))
		}
		c.FaultErrors = v
	}
	if latency != "" {
		v, err := time.ParseDuration(latency)
		if err != nil || v < 0 || v > writeTimeout/2 {
			errs = append(errs, fmt.Errorf("VALOR_FAULT_LATENCY: %q is not a time from 0 to %v", latency, writeTimeout/2))
		}
		c.FaultLatency = v
	}
	c.Warnings = append(c.Warnings, "faults are injected on purpose (VALOR_FAULT_ERRORS, VALOR_FAULT_LATENCY)")
	return errors.Join(errs...)
}

func isColor(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) <= 32
}
