#!/bin/sh
# Start the server of the challenge or, with one of its commands as the first word, trio-http.
# On first use, make the environment that it runs in.
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
set_up .venv '?.[codings]'

# exec, so that signals reach the server; -P, so that it never imports what lies in
# the current directory, which may well be the one it serves.
case ${1-} in
    files | app) exec "$root/.venv/bin/python" -P -m trio_http "$@" ;;
    *) exec "$root/.venv/bin/python" -P -m trio_http challenge --no-date "$@" ;;
esac
