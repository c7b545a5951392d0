package configs

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	// minClusterSecret characters have 32 bytes' worth of what "openssl rand" prints, nearly; fewer are words.
	minClusterSecret = 32
	// minSecretVariety different characters are in any random text of that length; "changeme" repeated has fewer.
	minSecretVariety = 10
	maxClusterPrefix = 100
)

// cluster checks [cluster].
func (c checker) cluster() {
	k := c.cfg.Cluster
	if k == nil {
		if !c.bad("cluster") && !c.bad("limit") {
			c.nothingShared()
		}
		return
	}
	if !c.bad("cluster.redis") && k.Redis != "" {
		if why := redisURL(k.Redis.Reveal()); why != "" {
			c.value("cluster.redis", "redis %s", why)
		} else if k.CA != "" && !strings.HasPrefix(k.Redis.Reveal(), "rediss:") {
			c.value("cluster.ca", "ca has no use: redis is not a rediss:// URL")
		}
	} else if !c.bad("cluster.redis") && c.pos.has("cluster.redis") {
		c.value("cluster.redis", "redis is empty")
	}
	if k.CA != "" || c.pos.has("cluster.ca") {
		c.clusterCA(k)
	}
	c.clusterSecret("cluster.secret", k.Secret)
	c.clusterSecret("cluster.previous_secret", k.PreviousSecret)
	if k.Secret == "" && !c.bad("cluster.secret") && !c.pos.has("cluster.secret") {
		c.secretMissing(k)
	}
	if c.bad("cluster.prefix") {
		return
	}
	if k.Prefix == "" || len(k.Prefix) > maxClusterPrefix || strings.ContainsFunc(k.Prefix, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		c.value("cluster.prefix", "prefix %s: 1 to %d characters without spaces", c.quote("cluster.prefix", k.Prefix), maxClusterPrefix)
	}
}

// nothingShared refuses limits that would be counted across replicas that are not known.
func (c checker) nothingShared() {
	for _, l := range c.cfg.Limits {
		if path := joinKey(joinKey("limit", l.Name), "shared"); l.Shared && !c.bad(path) {
			c.value(path, "shared = true needs [cluster] with redis: through it replicas count together")
		}
	}
}

func (c checker) clusterCA(k *Cluster) {
	const path = "cluster.ca"
	data, ok := c.readPEM(path, &k.CA)
	if !ok {
		return
	}
	if err := checkChain(data); err != nil {
		c.value(path, "ca %s: %v", c.quote(path, k.CA), err)
		return
	}
	k.CAPEM = data
}

func (c checker) secretMissing(k *Cluster) {
	switch {
	case k.PreviousSecret != "":
		c.value("cluster.previous_secret", "previous_secret has no use without secret")
	case !c.bad("listener") && slices.ContainsFunc(c.cfg.Listeners, func(l Listener) bool { return l.TLS }):
		c.key("cluster", "cluster.secret is missing: a listener has tls = true, and what replicas share of that is private")
	}
}

func (c checker) clusterSecret(path string, value Secret) {
	if c.bad(path) {
		return
	}
	secret, name := value.Reveal(), lastKey(path)
	seen := map[rune]bool{}
	for _, r := range secret {
		seen[r] = true
	}
	switch {
	case secret != "" && len(secret) < minClusterSecret:
		c.value(path, "%s has %d characters, at least %d: openssl rand -base64 32 makes one", name, len(secret), minClusterSecret)
	case secret != "" && len(seen) < minSecretVariety:
		c.value(path, "%s has %d different characters and can be guessed: openssl rand -base64 32 makes one", name, len(seen))
	case secret == "" && c.pos.has(path):
		c.value(path, "%s is empty", name)
	}
}

// redisURL says what is wrong with it, without its words: there may be a password among them.
func redisURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss":
		return "is not a redis:// or rediss:// URL"
	case u.Hostname() == "":
		return "names no host"
	case u.RawQuery != "" || u.Fragment != "":
		return "has settings behind ? or #: there are none"
	}
	if db := strings.TrimPrefix(u.Path, "/"); db != "" {
		if n, err := strconv.Atoi(db); err != nil || n < 0 {
			return "has a path that is no database number"
		}
	}
	return ""
}
