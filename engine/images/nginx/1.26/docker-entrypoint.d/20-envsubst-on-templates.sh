#!/bin/sh
# Writes /etc/nginx/templates/PATH.template to /etc/nginx/conf.d/PATH, with the environment's variables filled in.
set -e

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}

[ -d "$templates" ] || exit 0
if [ ! -w "$output" ]; then
  echo "$0: ERROR: $templates exists, but $output is not writable"
  exit 0
fi

# Only what the environment has is filled in, so that nginx's own $variables stay.
names=$(awk -v filter="$NGINX_ENVSUBST_FILTER" 'BEGIN { for (name in ENVIRON) if (name ~ filter) printf "${%s} ", name }')

find "$templates" -follow -type f -name "*$suffix" | while read -r template; do
  path=${template#"$templates/"}
  target=$output/${path%"$suffix"}
  mkdir -p "$(dirname "$target")"
  envsubst "$names" < "$template" > "$target"
done
