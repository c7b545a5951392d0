#!/bin/sh
# Gives Elasticsearch's user kibana_system the password of the secret kibana_password. It may run any number of times.
set -eu
secrets=${SECRETS:-/run/secrets}
url=${ELASTICSEARCH:-http://elasticsearch:9200}
# By standard input, because arguments are seen by everybody in the container.
{
	printf 'user = "elastic:%s"\n' "$(cat "$secrets/elastic_password")"
	printf 'data = "{\\"password\\":\\"%s\\"}"\n' "$(cat "$secrets/kibana_password")"
} | curl -sSf -o /dev/null -K - -H 'Content-Type: application/json' "$url/_security/user/kibana_system/_password"
