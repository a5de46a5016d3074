#!/bin/sh
set -e

say() {
  [ -n "$NGINX_ENTRYPOINT_QUIET_LOGS" ] || echo "$0: $*"
}

# Scripts run in the order of their names; an .envsh may set variables for those after it.
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
  for script in $(find /docker-entrypoint.d -follow -type f | sort -V); do
    case $script in
      *.envsh | *.sh)
        if [ ! -x "$script" ]; then
          say "ignoring $script, not executable"
          continue
        fi
        say "running $script"
        case $script in
          *.envsh) . "$script" ;;
          *) "$script" ;;
        esac
        ;;
      *) say "ignoring $script" ;;
    esac
  done
fi

exec "$@"
