#!/bin/sh
# What drainit is for, in five seconds and without a container engine: a worker
# in a session of its own needs one second to save its work after SIGTERM.
# Whoever is PID 1 gets the SIGTERM of a `docker stop`.
set -eu
PATH=$(cd "$(dirname "$0")/../target/release" && pwd):$PATH
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT

demo() {
    echo "\$ $*"
    # A PID namespace, as a container has it; as a user in one of our own.
    unshare --user --map-root-user --pid --fork --mount-proc --kill-child "$@" sh -c '
        setsid sh -c "
            trap \"sleep 1; echo worker: saved my work; exit\" TERM
            echo worker: working
            while :; do sleep 0.1; done 2>/dev/null" &
        sleep 0.5
        kill -TERM 1 # the stop
        wait' || echo "exit code $?"
}

if command -v tini >/dev/null; then
    demo tini -g --
else
    # So does tini leave, which is not installed here.
    demo drainit --leftovers leave
fi >"$out/theirs" 2>&1
demo drainit --signal-to app >"$out/ours" 2>&1
pr -m -t -w 72 "$out/theirs" "$out/ours" | expand
