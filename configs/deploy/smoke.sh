#!/usr/bin/env bash
# Asks the edge at URL what a client would, and fails when an answer is not what it must be: smoke.sh URL [curl option…]
#
# Every request goes through the edge, never to a colour: what is proven is what clients get. It computes the preset DCF, whose result is known, and looks at the edge's own manners.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: smoke.sh URL [curl option…]" >&2; exit 2; }
url=${1%/}
shift
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ask METHOD PATH STATUS PATTERN WHAT: one request; the body, or the head for a PATTERN that begins with "head:", must hold the pattern.
ask() {
  local method=$1 path=$2 status=$3 pattern=$4 what=$5 got
  shift 5
  got=$(curl --silent --show-error --max-time 15 --request "$method" --dump-header "$work/head" --output "$work/body" --write-out '%{http_code}' "${options[@]}" "$@" "$url$path") || got="no answer ($got)"
  local in=$work/body
  if [ "${pattern#head:}" != "$pattern" ]; then in=$work/head pattern=${pattern#head:}; fi
  if [ "$got" = "$status" ] && grep --quiet --ignore-case --extended-regexp -- "$pattern" "$in"; then
    echo "ok    $what"
  else
    echo "FAIL  $what: $method $path: $got, wanted $status with $pattern" >&2
    failed=1
  fi
}
options=("$@")

ask GET /api/health 200 '"status"' "the API answers"
ask GET /api/readiness 200 'ready|ok' "it is ready"
ask POST /api/dcf 200 '10\.63719200361473' "it computes (the preset DCF per share)" --header 'Content-Type: application/json' --data '{}'
ask POST /api/dcf 422 . "it refuses what is no request" --header 'Content-Type: application/json' --data '{"trials": "many"}'
ask GET /api/health 200 'head:^x-content-type-options: nosniff' "security headers are there"
ask GET /api/nothing-there 404 . "what is not there is 404"
exit "$failed"
