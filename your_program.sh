#!/bin/sh
# Start the server; on first use, make the environment it runs in.
set -eu

# The checkout is where this file is, not where links to it are. A loop, because
# `readlink -f` is missing from older systems.
self=$0
case $self in */*) ;; *) self=./$self ;; esac
while [ -L "$self" ]; do
    target=$(readlink "$self")
    case $target in
        /*) self=$target ;;
        *) self=${self%/*}/$target ;;
    esac
done
root=$(CDPATH='' cd -- "${self%/*}/" && pwd -P)

# shellcheck source=.setup
. "$root/.setup"
set_up .venv .

# exec, so that signals reach the server; -P, so that it never imports what lies in
# the current folder, which may well be the one it serves.
exec "$root/.venv/bin/python" -P -m trio_http challenge --no-date "$@"
