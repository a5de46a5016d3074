#!/bin/sh
set -e

# `-x`, `--option` and `some.conf` are for the server.
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
  set -- redis-server "$@"
fi

if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis '{}' +
  exec gosu redis "$0" "$@"
fi

if [ "$(umask)" = 0022 ]; then
  umask 0077
fi

# Protected mode answers the container alone, so it is off unless asked for: what comes later on the command line, or in the file, wins.
if [ "$1" = redis-server ]; then
  shift
  case $1 in
    -h | --help | -v | --version | --test-memory | --check-system) exec redis-server "$@" ;;
    -* | '') set -- --protected-mode no "$@" ;;
    *) grep -qi '^[[:space:]]*protected-mode' "$1" || set -- "$@" --protected-mode no ;;
  esac
  set -- redis-server "$@"
fi

exec "$@"
