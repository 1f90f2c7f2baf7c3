#!/usr/bin/env bash
# The journey against the whole stack: gunicorn, PostgreSQL, Redis, a Celery worker and beat.
#
#   tests/stack/run_stack.sh [options of manage.py journey]
#
# STACK_POSTGRES   a server on which the database demo_stack may be made and dropped
#                  (postgres://postgres@127.0.0.1:5432)
# STACK_REDIS      a Redis whose database may be used; without it one is started here
# STACK_PORT       gunicorn's port (8100); the sandbox and our Redis take the next two
#
# It ends only what it has started, by its process number.
set -euo pipefail
cd "$(dirname "$0")/../.."

server=${STACK_POSTGRES:-postgres://postgres@127.0.0.1:5432}
port=${STACK_PORT:-8100}
folder=$(mktemp -d)
python=.venv/bin/python
pids=()

finish() {
    code=$?
    trap - EXIT INT TERM
    for ((n = ${#pids[@]} - 1; n >= 0; n--)); do
        kill -TERM "${pids[n]}" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    psql -q "$server/postgres" -c 'DROP DATABASE IF EXISTS demo_stack WITH (FORCE)' || true
    if [ "$code" != 0 ]; then
        tail -n 20 "$folder"/*.log >&2 || true
    fi
    rm -rf "$folder"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

run() { # name, command ...: start something beside us
    local name=$1
    shift
    "$@" >"$folder/$name.log" 2>&1 &
    pids+=($!)
}

answers() { # url: wait until a server is there
    for _ in $(seq 150); do
        curl -fsS --noproxy '*' -o /dev/null "$1" 2>/dev/null && return
        sleep 0.2
    done
    echo "nothing answers at $1" >&2
    return 1
}

export DATABASE_URL=$server/demo_stack DOTENV_PATH=/dev/null
export REDIS_URL=${STACK_REDIS:-redis://127.0.0.1:$((port + 2))/0}
export WECHAT_SANDBOX_URL=http://127.0.0.1:$((port + 1)) SANDBOX_DIR=$folder/sandbox
export WECHAT_NOTIFY_BASE=http://127.0.0.1:$port DEMO_CLOCK=1 DEMO_LOGINS=1

psql -q "$server/postgres" -c 'DROP DATABASE IF EXISTS demo_stack' -c 'CREATE DATABASE demo_stack'
if [ -z "${STACK_REDIS:-}" ]; then
    run redis redis-server --port $((port + 2)) --bind 127.0.0.1 --save '' --dir "$folder"
fi
$python manage.py demo --noserve --small --quiet

run sandbox $python manage.py sandbox --port $((port + 1))
run web .venv/bin/gunicorn distro.wsgi --bind "127.0.0.1:$port" --workers 2 --threads 4
run worker .venv/bin/celery -A distro worker --concurrency 2 --loglevel INFO
run beat .venv/bin/celery -A distro beat --schedule "$folder/beat" --pidfile= --loglevel INFO
answers "http://127.0.0.1:$port/readyz"
answers "http://127.0.0.1:$((port + 1))/"

$python manage.py journey --base "http://127.0.0.1:$port" --sandbox "$WECHAT_SANDBOX_URL" "$@"
$python manage.py check_books
