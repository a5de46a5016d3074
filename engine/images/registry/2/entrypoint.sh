#!/bin/sh
set -e

# A configuration file is for the server.
case $1 in
  *.yaml | *.yml) set -- docker-registry serve "$@" ;;
  serve | garbage-collect | help | -*) set -- docker-registry "$@" ;;
esac

exec "$@"
