#!/bin/sh
# Start the server of the challenge or, if the first word is a command of trio-http, that
# command. On first use, make the virtual environment.
set -eu

# Resolve links to this file to find the checkout. A loop, because older systems lack
# `readlink -f`.
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

# exec, so that signals reach the server; -P, so that it never imports modules from the
# current directory, which may be the directory that it serves.
case ${1-} in
    files | app) exec "$root/.venv/bin/python" -P -m trio_http "$@" ;;
    *) exec "$root/.venv/bin/python" -P -m trio_http challenge --no-date "$@" ;;
esac
