#!/usr/bin/env bash
# Ships a version of the API as the colour that has no traffic, lets weir move the traffic by evidence, and takes it back when something speaks against it.
#
#   deploy.sh production|staging TAG [--evidence FILE] [--dry-run]
#   deploy.sh rollback production|staging [--dry-run]
#   deploy.sh status production|staging
#
# How: DEPLOY_BY=kubernetes (default: kubectl, namespace weir-ENVIRONMENT) or systemd (this machine, see deploy.d/systemd.sh). SMOKE_URL is the edge as clients see it: smoke.sh asks there
# when the traffic has moved. SERVICE (api) is weir's name of what is shipped, READY_TIMEOUT (5m) how long a colour may take to start, DEPLOY_TIMEOUT (1h) the whole way to 100 %.
#
# Exit codes, as weir deploy has them: 0 promoted · 1 it could not be tried, nothing has changed · 2 usage · 4 rolled back · 5 not ready or not over in time.
# It may be run again at any time, after any end, its own death included: it asks weir what is, and remembers nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
by=${DEPLOY_BY:-kubernetes}
service=${SERVICE:-api}
ready_timeout=${READY_TIMEOUT:-5m}
deploy_timeout=${DEPLOY_TIMEOUT:-1h}
dry=

usage() {
  sed -n '2,6p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//' >&2
  exit 2
}
say() { echo "deploy: $*" >&2; }
fail() {
  say "$2"
  exit "$1"
}
# change runs what changes something, or says what would be run.
change() {
  if [ -n "$dry" ]; then echo "would run: $*"; else "$@"; fi
}

# look asks weir for the state of the service. Everything is decided by it: which colour has the traffic is no guess from what exists.
look() {
  local state
  state=$(weir status --json) || fail 1 "weir does not answer: nothing was done"
  state=$(jq -e --arg s "$service" '.services[] | select(.name == $s)' <<<"$state") || fail 1 "weir has no service $service: nothing was done"
  live=$(jq -r '[.groups[] | select((.weight | tonumber) == 100)][0].name // ""' <<<"$state")
  idle=$(jq -r '[.groups[] | select((.weight | tonumber) == 0)] | if length == 1 then .[0].name else "" end' <<<"$state")
  rolling=$(jq -r 'select(.rollout.state == "running" or .rollout.state == "holding") | .rollout.to' <<<"$state")
  weights=$(jq -r '[.groups[] | "\(.name)=\(.weight)"] | join(" ")' <<<"$state")
}

# settle ends a rollout that an earlier run left, unless it is of the version that is wanted now.
settle() {
  [ -n "$rolling" ] || return 0
  if [ "$(image "$rolling")" = "$(image_of "$tag")" ]; then
    say "a rollout of $tag to $rolling is under way: following it"
    idle=$rolling
    live=$(other "$rolling")
    return 0
  fi
  say "a rollout to $rolling of another version is under way: it is aborted"
  change weir rollout "$service" abort
  if [ -z "$dry" ]; then
    look
  else
    idle=$rolling live=$(other "$rolling")
  fi
}

other() { if [ "$1" = blue ]; then echo green; else echo blue; fi; }

deploy() {
  local code=0
  look
  settle
  [[ -n $live && -n $idle ]] || fail 1 "the weights are $weights: one colour must have all of the traffic. Set them (weir weights $service …) and come again"
  if [ "$(image "$live")" = "$(image_of "$tag")" ] && [ -z "$rolling" ]; then
    say "$live is $tag already, and has the traffic"
    smoke || fail 4 "it does not pass: deploy.sh rollback $environment gives the traffic to $idle"
    return 0
  fi
  say "$live has the traffic; $tag becomes $idle"
  apply "$idle" "$tag" || fail 5 "$idle was not started as $tag; $live has the traffic, as before"
  ready "$idle" || back 5 "$idle did not get ready as $tag within $ready_timeout"
  ship || code=$?
  case $code in
  0) ;;
  4) back 4 "rolled back" ;;
  5)
    change weir rollout "$service" abort || true # there is none when the group never was healthy
    back 5 "not healthy, or not over in time"
    ;;
  *) fail 1 "weir deploy ended with $code; deploy.sh status $environment says what is" ;;
  esac
  if ! smoke; then
    change weir weights "$service" "$live=100" "$idle=0"
    back 4 "what clients get does not pass"
  fi
  say "$idle has the traffic as $tag; $live is kept as it was, warm, for deploy.sh rollback $environment"
}

# back ends a deployment that did not work out: the idle colour becomes again what it was, so that a later rollback finds the version before and not this one.
back() {
  change undo "$idle" || say "$idle could not be taken back to what it was: rollback is not safe until it is"
  fail "$1" "$2: $live has the traffic, as before"
}

# ship is weir's part: healthy, pre-warmed, by steps and evidence to 100 %, or back.
ship() {
  local ask=(weir deploy "$service" --to "$idle" --wait --healthy-timeout "$ready_timeout" --wait-timeout "$deploy_timeout")
  if [ -n "$evidence" ] && [ -z "$dry" ]; then
    "${ask[@]}" --evidence - >>"$evidence"
  else
    change "${ask[@]}"
  fi
}

smoke() {
  if [ -z "${SMOKE_URL:-}" ]; then
    say "SMOKE_URL is not set: what clients get is not looked at"
    return 0
  fi
  change "$here/smoke.sh" "$SMOKE_URL"
}

# rollback gives all traffic to the colour that does not have it, at once. That one is warm: nobody has touched it.
rollback() {
  look
  if [ -n "$rolling" ]; then
    say "a rollout to $rolling is under way: it is aborted"
    change weir rollout "$service" abort
    return 0
  fi
  [[ -n $live && -n $idle ]] || fail 1 "the weights are $weights: which colour is the one before? weir weights $service blue=100 green=0, or the other way round"
  ready "$idle" || fail 5 "$idle is not ready: $live keeps the traffic"
  change weir weights "$service" "$live=0" "$idle=100"
  smoke || fail 4 "$idle has the traffic, and does not pass either"
  say "$idle has the traffic"
}

status() {
  look
  say "weights $weights${rolling:+, a rollout to $rolling}"
  for c in blue green; do say "$c is $(image "$c")"; done
}

[ $# -ge 2 ] || usage
case $1 in
rollback | status) verb=$1 environment=$2 tag='' ;;
*) verb=deploy environment=$1 tag=$2 ;;
esac
shift 2
evidence=
while [ $# -gt 0 ]; do
  case $1 in
  --dry-run) dry=yes ;;
  --evidence)
    [ $# -ge 2 ] || usage
    evidence=$2
    shift
    ;;
  *) usage ;;
  esac
  shift
done
case $environment in production | staging) ;; *) usage ;; esac
[[ $verb != deploy || $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || { say "\"$tag\" is no tag"; usage; }
[ -f "$here/deploy.d/$by.sh" ] || { say "DEPLOY_BY=$by is none of: $(cd "$here/deploy.d" && echo *.sh)"; usage; }
# shellcheck source=configs/deploy/deploy.d/kubernetes.sh
. "$here/deploy.d/$by.sh"
"$verb"
