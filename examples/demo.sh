#!/bin/sh
# What drainit is for, in five seconds and without a container engine: a worker
# in a session of its own needs one second to save its work after SIGTERM.
# Whoever is PID 1 gets the SIGTERM of a `docker stop`.
set -eu

demo() {
    echo "--- $*"
    # A PID namespace, as a container has it; as a user in one of our own.
    unshare --user --map-root-user --pid --fork --mount-proc --kill-child "$@" sh -c '
        setsid sh -c "
            trap \"sleep 1; echo worker: saved my work; exit\" TERM
            echo worker: working
            while :; do sleep 0.1; done" &
        sleep 0.5
        kill -TERM 1 # the stop
        wait' || echo "exit code $?"
}

demo "$(dirname "$0")/../target/release/drainit" -v
if command -v tini >/dev/null; then
    demo tini -g --
else
    echo '(tini is not installed: no comparison)'
fi
