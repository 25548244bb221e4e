#!/usr/bin/env bash
# Delete all lab clusters and what the learning lab runs; with --caches also the virtual environment, build results and caches of Limani.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
limani=.venv/bin/limani
state=${LIMANI_STATE_DIR:-/var/lib/limani/clusters}

# The learning lab first: its own daemon and cluster, and its objects in those it was told to use.
if [ -x $limani ]; then
    $limani lab down --force >/dev/null
    .venv/bin/python scripts/lab_places.py clean
fi

if [ -d "$state" ]; then
    if [ ! -x $limani ]; then
        echo "clean: $state holds clusters but $limani is missing; run make setup first." >&2
        exit 1
    fi
    for folder in "$state"/*/; do
        [ -d "$folder" ] || continue
        $limani cluster delete "$(basename "$folder")"
    done
fi

[ "${1:-}" = --caches ] || exit 0
rm -rf .venv .make site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .ansible
cache=${XDG_CACHE_HOME:-$HOME/.cache}/limani
[ -d "$cache" ] && echo "removing $cache" && rm -rf "$cache"
exit 0
