package configs

import "strings"

// accessLists checks the tables, and names their files as those that are followed. Their contents are read by who uses them: they may be large.
func (c checker) accessLists() {
	for i := range c.cfg.AccessLists {
		l := &c.cfg.AccessLists[i]
		path := joinKey("access", l.Name)
		if !isLabel(l.Name) {
			c.key(path, "access name %q: %s", l.Name, labelRule)
		}
		said := false
		for _, key := range []string{"allow", "deny", "allow_file", "deny_file"} {
			said = said || c.pos.has(joinKey(path, key)) || c.bad(joinKey(path, key))
		}
		if !said && !c.bad(path) {
			c.key(path, "access %q says nothing: add allow, deny, allow_file or deny_file", l.Name)
		}
		c.emptyList(joinKey(path, "allow"), len(l.Allow))
		c.emptyList(joinKey(path, "deny"), len(l.Deny))
		c.followed(joinKey(path, "allow_file"), &l.AllowFile)
		c.followed(joinKey(path, "deny_file"), &l.DenyFile)
	}
}

// emptyList: allow = [] could mean nobody or everybody.
func (c checker) emptyList(path string, n int) {
	if n == 0 && c.pos.has(path) && !c.bad(path) {
		c.value(path, "%s is empty; leave it out to say nothing", lastKey(path))
	}
}

// followed makes a file's path absolute and has it watched.
func (c checker) followed(path string, name *string) {
	if !c.pos.has(path) || c.bad(path) {
		return
	}
	if *name == "" {
		c.value(path, "%s is empty", lastKey(path))
		return
	}
	*name = c.files.path(*name)
	c.files.list = withFile(c.files.list, *name)
}

// auths checks the tables.
func (c checker) auths() {
	for i := range c.cfg.Auths {
		a := &c.cfg.Auths[i]
		path := joinKey("auth", a.Name)
		if !isLabel(a.Name) {
			c.key(path, "auth name %q: %s", a.Name, labelRule)
		}
		if at := joinKey(path, "realm"); !c.bad(at) {
			if wrong := fieldValue(a.Realm); wrong != "" {
				c.value(at, "realm %s %s", c.quote(at, a.Realm), wrong)
			} else if strings.ContainsAny(a.Realm, `"\`) {
				c.value(at, "realm %s has a quote or a backslash", c.quote(at, a.Realm))
			}
		}
		c.foreignKeys(a, path)
		if c.bad(joinKey(path, "type")) {
			continue
		}
		switch a.Type {
		case AuthBasic:
			c.needs(a, path, "users_file")
			c.followed(joinKey(path, "users_file"), &a.UsersFile)
		case AuthJWT:
			c.jwt(a, path)
		case AuthMTLS:
			c.mtls(a, path)
		case AuthForward:
			c.forward(a, path)
		case AuthOIDC:
			c.oidc(a, path)
		}
	}
}

// guardsOf checks what a route names.
func (c checker) guardsOf(rt *Route, route string) {
	if path := joinKey(route, "access"); !c.bad(path) {
		known := make([]string, len(c.cfg.AccessLists))
		for i, l := range c.cfg.AccessLists {
			known[i] = l.Name
		}
		c.references(path, references{kind: "access", names: rt.Access, known: known})
	}
	c.claimLimits(rt, route)
	path := joinKey(route, "auth")
	if !c.pos.has(path) || c.bad(path) || c.bad("auth") && len(c.cfg.Auths) == 0 {
		return
	}
	known := make([]string, len(c.cfg.Auths))
	for i, a := range c.cfg.Auths {
		if known[i] = a.Name; a.Name == rt.Auth {
			if a.Type == AuthMTLS {
				c.mtlsHosts(rt, route)
			}
			return
		}
	}
	c.value(path, "auth %s does not exist: there is no [auth.%s]%s", c.quote(path, rt.Auth), tableName(rt.Auth, c.raw[path]), didYouMean(rt.Auth, known))
}
