#!/bin/sh
# Makes the secrets of compose.yaml, those that are not there yet, and gives each service those that it needs, in a volume of its own, readable by nobody but
# its user. Nothing here is printed. To set one yourself, write it to the volume "secrets" before the first start; to change one later,
# remember who else knows it: PostgreSQL keeps its password in its data.
set -eu
umask 077
root=${SECRETS_ROOT:-/secrets}

# make NAME: 32 random bytes as 64 hexadecimal digits, which need no quoting anywhere.
make() {
	[ -s "$root/all/$1" ] && return
	od -An -vtx1 -N32 /dev/urandom | tr -d ' \n' >"$root/all/.$1"
	[ "$(wc -c <"$root/all/.$1")" -eq 64 ] # or the disk is full
	mv "$root/all/.$1" "$root/all/$1"
}

# give SERVICE USER NAME [PREFIX]: a copy, with PREFIX before it, that appears whole.
give() {
	{ printf '%s' "${4:-}" && cat "$root/all/$3"; } >"$root/$1/.$3"
	chown "$2" "$root/$1/.$3"
	chmod 0400 "$root/$1/.$3"
	mv "$root/$1/.$3" "$root/$1/$3"
	chmod 0755 "$root/$1"
}

for name in admin_token cluster_secret elastic_password grafana_password jwt_secret kibana_password postgres_password redis_password; do
	make "$name"
done

# The users are those of the images: weir and valor-api 65532, postgres 70, valkey 999, prometheus 65534,
# redis_exporter 59000, grafana 472, elasticsearch and kibana 1000; filebeat reads other containers' logs and is root.
for name in admin_token cluster_secret redis_password; do give edge 65532 $name; done
for name in jwt_secret postgres_password redis_password; do give api 65532 $name; done
give postgres 70 postgres_password
give redis 999 redis_password
cp "$root/all/redis_password" "$root/all/redis_auth"
give redis 999 redis_auth 'requirepass '
give prometheus 65534 admin_token
printf '{"redis://redis:6379":"%s"}' "$(cat "$root/all/redis_password")" >"$root/all/redis_passwords"
give redis-exporter 59000 redis_passwords
give grafana 472 grafana_password
for name in elastic_password kibana_password; do give elasticsearch 1000 $name; done
give kibana 1000 kibana_password
give filebeat 0 elastic_password
