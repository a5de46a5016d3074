#!/bin/bash
set -Eeo pipefail

# setting NAME [DEFAULT]: takes NAME from the environment, or from the file that NAME_FILE names.
setting() {
  local name=$1 file=${1}_FILE
  if [ "${!name}" ] && [ "${!file}" ]; then
    echo >&2 "error: both $name and $file are set (but are exclusive)"
    exit 1
  fi
  if [ "${!file}" ]; then
    export "$name"="$(< "${!file}")"
  else
    export "$name"="${!name:-$2}"
  fi
  unset "$file"
}

require_password() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
    cat >&2 <<'EOF'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser.

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.
EOF
    exit 1
  fi
}

prepare_directories() {
  mkdir -p "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} /var/run/postgresql
  chmod 700 "$PGDATA" || :
  if [ "$(id -u)" = 0 ]; then
    find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} /var/run/postgresql \
      \! -user postgres -exec chown postgres '{}' +
  fi
}

# initdb works in this folder, and it stays until all is set up: found at a start, it says that the one before was killed half-way.
unfinished=$PGDATA/.unfinished

clear_unfinished() {
  if [ -d "$unfinished" ]; then
    echo 'An earlier start was killed before its database was complete: beginning anew.'
    find "$PGDATA" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"} -mindepth 1 -not -path "$unfinished" -delete
    rmdir "$unfinished"
  fi
}

create_cluster() {
  if [ -n "$(ls -A "$PGDATA")" ]; then
    echo >&2 "error: $PGDATA is not empty, and is no database; a volume's root may need a folder inside it, named by PGDATA"
    exit 1
  fi
  mkdir "$unfinished"
  # eval, as the arguments may be quoted; the password's file must not be empty, so it has at least its end of line.
  eval 'initdb --no-instructions --pgdata="$unfinished" --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' \
    '${POSTGRES_INITDB_WALDIR:+--waldir="$POSTGRES_INITDB_WALDIR"}' "$POSTGRES_INITDB_ARGS"
  mv "$unfinished"/* "$PGDATA"
}

allow_remote_clients() {
  local method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

# Init scripts may call this one, by the name that it has in the official image.
docker_process_sql() {
  PGHOST='' PGHOSTADDR='' psql --set ON_ERROR_STOP=1 --no-password --no-psqlrc \
    --username "$POSTGRES_USER" ${POSTGRES_DB:+--dbname "$POSTGRES_DB"} "$@"
}

create_database() {
  docker_process_sql --dbname postgres --set db="$POSTGRES_DB" <<'EOSQL'
SELECT format('CREATE DATABASE %I', :'db') WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'db') \gexec
EOSQL
}

run_init_scripts() {
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    echo "$0: $script"
    case $script in
      *.sh) if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
      *.sql) docker_process_sql --file "$script" ;;
      *.sql.gz) gunzip --stdout "$script" | docker_process_sql ;;
      *.sql.xz) xzcat "$script" | docker_process_sql ;;
      *.sql.zst) zstd --decompress --stdout "$script" | docker_process_sql ;;
      *) echo "$0: ignored, as its name ends in none of .sh .sql .sql.gz .sql.xz .sql.zst" ;;
    esac
  done
}

# Nobody but the set-up reaches the server while it runs: it listens on its socket alone.
set_up() {
  create_cluster
  allow_remote_clients "$@"
  export PGPASSWORD=${PGPASSWORD:-$POSTGRES_PASSWORD}
  pg_ctl --wait start --options "$(printf '%q ' "$@" -c listen_addresses= -p "${PGPORT:-5432}")"
  create_database
  run_init_scripts
  pg_ctl --wait --mode fast stop
  rmdir "$unfinished"
  unset PGPASSWORD
  printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

if [ "${1:0:1}" = - ]; then
  set -- postgres "$@"
fi

if [ "$1" = postgres ] && [[ ! " $* " =~ \ (-\?|--help|--describe-config|-V|--version)\  ]]; then
  prepare_directories
  if [ "$(id -u)" = 0 ]; then
    exec gosu postgres "$0" "$@"
  fi
  clear_unfinished
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    setting POSTGRES_PASSWORD
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS
    require_password
    set_up "${@:2}"
  fi
fi

exec "$@"
