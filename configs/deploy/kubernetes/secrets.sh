#!/bin/sh
# secrets.sh NAMESPACE: makes the namespace and the Secrets that the manifests name, those that are not there yet. Passwords are random; where a database of
# production has its own, give it in DATABASE_PASSWORD or REDIS_PASSWORD. The certificate is TLS_CERT and TLS_KEY (files), or cert-manager's (examples/certificate.yaml).
set -eu
umask 077
namespace=${1:?usage: secrets.sh NAMESPACE}
kubectl=${KUBECTL:-kubectl}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
random() { od -An -vtx1 -N32 /dev/urandom | tr -d ' \n'; }
there() { "$kubectl" -n "$namespace" get secret "$1" >/dev/null 2>&1; }

# create NAME FILE…: by files, because arguments are seen by everybody on this machine.
create() {
	name=$1
	shift
	set -- $(for file; do echo "--from-file=$dir/$file"; done)
	"$kubectl" -n "$namespace" create secret generic "$name" "$@"
}

"$kubectl" get namespace "$namespace" >/dev/null 2>&1 || "$kubectl" create namespace "$namespace"
made=$(for name in weir-secrets valor-api-secrets valor-redis-secrets; do there $name && echo $name; done || true)
case $(echo $made) in
"weir-secrets valor-api-secrets valor-redis-secrets") ;;
"")
	printf %s "${REDIS_PASSWORD:-$(random)}" >"$dir/redis-password"
	printf 'requirepass %s' "$(cat "$dir/redis-password")" >"$dir/redis-auth"
	printf %s "${DATABASE_PASSWORD:-$(random)}" >"$dir/database-password"
	for name in admin-token cluster-secret jwt-secret; do random >"$dir/$name"; done
	create weir-secrets admin-token cluster-secret redis-password
	create valor-api-secrets jwt-secret database-password redis-password
	create valor-redis-secrets redis-auth redis-password
	;;
*)
	echo "secrets.sh: $namespace has $(echo $made) but not the others, which have a password in common: delete these or make those" >&2
	exit 1
	;;
esac
if ! there weir-tls; then
	if [ -z "${TLS_CERT:-}" ]; then
		echo "secrets.sh: no Secret weir-tls yet: give TLS_CERT and TLS_KEY, or let cert-manager make it; the edge waits for it" >&2
		exit 0
	fi
	"$kubectl" -n "$namespace" create secret tls weir-tls --cert="$TLS_CERT" --key="${TLS_KEY:?the key of TLS_CERT}"
fi
