#!/bin/sh
# Serves a built app on this machine as its image does, with nginx and envsubst from the PATH.
#   API_UPSTREAM=http://localhost:8000 PORT=8080 serve.sh DIST
set -eu
PATH=$PATH:/usr/sbin
here=$(cd "$(dirname "$0")" && pwd)
export WEB_ROOT="$(cd "${1:?folder of the built app}" && pwd)"
export NGINX_ENVSUBST_OUTPUT_DIR="$(mktemp -d)"
chmod 755 "$NGINX_ENVSUBST_OUTPUT_DIR"
export NGINX_LOCAL_RESOLVERS="$(awk '$1 == "nameserver" { print ($2 ~ ":") ? "[" $2 "]" : $2 }' /etc/resolv.conf | paste -sd ' ')"
. "$here/16-check-environment.envsh"

names=$(awk 'BEGIN { for (name in ENVIRON) if (name ~ /^[A-Z0-9_]+$/) printf "${%s} ", name }')
for template in "$here"/*.template; do
  envsubst "$names" < "$template" > "$NGINX_ENVSUBST_OUTPUT_DIR/$(basename "$template" .template)"
done
exec nginx -c "$NGINX_ENVSUBST_OUTPUT_DIR/nginx.conf" -g 'daemon off;'
