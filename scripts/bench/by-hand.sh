#!/usr/bin/env bash
# The checks of the services one after another, with the machine's own PostgreSQL, Redis, nginx and Chromium: the script that
# the pipeline is measured against. It leaves out what needs a container engine (images, their start, their scans).
#
#   by-hand.sh CHECKOUT WORK    what is installed is kept in WORK and CHECKOUT, as a developer's machine would keep it
set -euo pipefail
checkout=$(realpath "$1") work=$(realpath "$2")
services=$checkout/services
PATH=$PATH:/usr/lib/postgresql/15/bin
export CI=true NO_COLOR=1 JWT_SECRET_KEY=a-key-of-a-script-that-lives-for-one-run ENVIRONMENT=development
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; as_postgres pg_ctl -s -m immediate -D "$work/pg" stop || true' EXIT

as_postgres() { if [[ $(id -u) == 0 ]]; then runuser -u postgres -- "$@"; else "$@"; fi; }

stores() {
  rm -rf "$work/pg"
  install -d "$work/pg" -o "$([[ $(id -u) == 0 ]] && echo postgres || id -un)"
  as_postgres initdb -D "$work/pg" -U postgres --auth trust >/dev/null
  as_postgres pg_ctl -s -w -D "$work/pg" -o "-p 25432 -k /tmp -c fsync=off" -l "$work/pg/log" start
  redis-server --port 26379 --save '' >/dev/null &
  pids+=($!)
}
database() {
  psql -qh /tmp -p 25432 -U postgres -c "drop database if exists $1 with (force)" -c "create database $1" 2>/dev/null
  export DATABASE_URL=postgresql://postgres@localhost:25432/$1 REDIS_URL=redis://localhost:26379/0
}
# Installs when the lock is another than last time, and says how long it took.
locked() { # FOR LOCK STAMP COMMAND…
  local sum started=$SECONDS; sum=$(sha256sum <"$2")
  if [[ $(cat "$3" 2>/dev/null) != "$sum" ]]; then
    "${@:4}"
    echo "$sum" >"$3"
  fi
  echo "installing $1: $((SECONDS - started)) s"
}

python() { # SERVICE
  cd "$services/$1"
  local venv=$work/venv-$1
  [[ -d $venv ]] || python3 -m venv "$venv"
  locked "$1" requirements-dev.txt "$venv/lock" "$venv/bin/pip" install -q --require-hashes -r requirements-dev.txt
  (
    PATH=$venv/bin:$PATH
    black -q --check . && flake8 . && mypy
    if [[ -f alembic.ini ]]; then
      database "bench_migrations"
      alembic upgrade head && alembic check && alembic downgrade base && alembic upgrade head
    fi
    database "bench_test"
    pytest -q --cov --cov-branch
  )
}

react() { # APP
  cd "$services/$1"
  npm run -s check:format && npm run -s check:lint && npm run -s check:types && npm test
}

journeys() { # APP BACKEND PACKAGE SETUP…
  local app=$1 venv=$work/venv-$2 package=$3
  cd "$services/$2"
  database bench_journeys
  export PYTHONPATH=src:../servicekit/src MODEL_DIR=$work/models PORT=28000 RECIPES_PASSWORD=throw-away-password
  mkdir -p "$MODEL_DIR"
  for step in "${@:4}"; do
    # shellcheck disable=SC2086 # a step is words
    "$venv/bin/python" -m "$package" $step
  done
  "$venv/bin/python" -m "$package" serve >/dev/null &
  local backend=$!
  cd "$services/$app"
  npm run -s build
  # Not by npm, which leaves nginx running when it is ended; and into a file: nginx cannot open a socket, as Node gives one, for its log.
  API_UPSTREAM=http://127.0.0.1:28000 PORT=28080 ../frontend-kit/nginx/serve.sh dist >"$work/server.log" 2>&1 &
  local server=$!
  pids+=("$backend" "$server")
  for address in 28000 28080; do
    curl -fsS --retry 60 --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$address/health/ready" ||
      { tail "$work/server.log" >&2 && exit 1; }
  done
  E2E_BASE_URL=http://127.0.0.1:28080 E2E_USERNAME=editor E2E_PASSWORD=$RECIPES_PASSWORD npm run -s e2e
  kill "$backend" "$server"
  wait "$backend" "$server" || true
}

stores
for service in servicekit api f1-backend; do python "$service"; done
cd "$services" && locked packages package-lock.json "$work/npm-lock" npm ci --ignore-scripts --silent
for app in frontend-kit web f1-frontend; do react "$app"; done
journeys web api recipes migrate seed "create-user editor"
journeys f1-frontend f1-backend f1 migrate "ingest demo" train predict
