#!/usr/bin/env bash
# ansible-test sanity on what ships, without ignore entries and without downloads beyond the package index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# HOME of its own: what ansible-test caches (its installer, virtual environments) stays out of the user's folders.
export HOME=${XDG_CACHE_HOME:-$HOME/.cache}/limani/ansible-test
mkdir -p "$HOME"
out=$(XDG_CACHE_HOME=$HOME scripts/collection_tree.sh "$HOME/tree")
scripts/ansible_test_stand_in.sh "$HOME"
cd "$out/ansible_collections/limani/nodes"
export ANSIBLE_COLLECTIONS_PATH=$out
# One version of Python: others that happen to be installed here are not what the collection is released for.
exec ansible-test sanity --local --color no --python "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" "$@"
