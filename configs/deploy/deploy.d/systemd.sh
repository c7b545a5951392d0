# shellcheck shell=bash
# deploy.sh on the machine itself. A version TAG is the program RELEASES/TAG/valor-api (RELEASES: /opt/valor-api/releases); colour C runs what RELEASES/../C points to, as valor-api@C.service.
# weir is told by WEIR_ADMIN, and its token by WEIR_ADMIN_TOKEN.
releases=${RELEASES:-/opt/valor-api/releases}

weir() { command weir "$@"; }
image_of() { echo "$releases/$1"; }
image() { readlink "$releases/../$1"; }
apply() {
  [ -x "$releases/$2/valor-api" ] || { say "there is no $releases/$2/valor-api"; return 1; }
  change ln -sfn "$(image "$1")" "$releases/../.$1.before" && point "$1" "$(image_of "$2")" && change systemctl restart "valor-api@$1.service"
}
# point moves a colour's link in one step: a restart in between finds the old version or the new one.
point() { change ln -sfn "$2" "$releases/../.$1.new" && change mv -T "$releases/../.$1.new" "$releases/../$1"; }
# ready is the unit's word; whether it answers is weir's to find out before a client is sent there.
ready() { change systemctl --quiet is-active "valor-api@$1.service"; }
undo() { point "$1" "$(readlink "$releases/../.$1.before")" && systemctl restart "valor-api@$1.service"; }
