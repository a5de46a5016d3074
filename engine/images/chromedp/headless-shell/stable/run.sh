#!/bin/bash
# Chromium binds DevTools to loopback whatever it is told, so socat carries the port to other containers.
socat TCP4-LISTEN:9222,fork,reuseaddr TCP4:127.0.0.1:9223 &

# A container is the sandbox, and has no GPU.
exec headless-shell --no-sandbox --use-gl=angle --use-angle=swiftshader --remote-debugging-port=9223 "$@"
