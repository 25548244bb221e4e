#!/usr/bin/env bash
# Copy what ships of the collection into OUT/ansible_collections/limani/nodes, as a git repository of its own.
#
#   scripts/collection_tree.sh [OUT] [EXTRA_PATH...]
#
# OUT (default: $XDG_CACHE_HOME/limani/collection) must lie outside the repository: a tree within it would be linted and
# packed again. EXTRA_PATH: more of the repository to copy, for linters only. Prints OUT. ansible-test wants this very
# path and a git repository; ansible-playbook, molecule and ansible-lint find the collection there with
# ANSIBLE_COLLECTIONS_PATH=OUT.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/limani/collection}
shift || true
mkdir -p "$out"
out=$(realpath "$out")
case $out/ in
"$PWD"/*) echo "collection_tree.sh: $out lies inside the repository; choose a folder outside" >&2; exit 2 ;;
esac

# Two runs at once (lint and molecule) must not see half a tree of each other.
exec 9>"$out/.lock"
flock 9

ships=(galaxy.yml README.md CHANGELOG.md COPYING meta plugins roles playbooks changelogs tests/config.yml)
tree=$out/ansible_collections/limani/nodes
new=$(mktemp -d "$out/.new.XXXXXX")
trap 'rm -rf "$new"' EXIT

# Tracked and new files, but neither ignored nor just deleted ones.
git ls-files -co --exclude-standard -z -- "${ships[@]}" "$@" |
    while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done |
    tar --create --null --files-from=- | tar --extract --directory="$new"

git -C "$new" init -q -b main
git -C "$new" add -A
git -C "$new" -c user.name=tree -c user.email=tree@localhost -c commit.gpgsign=false commit -q -m tree
mkdir -p "$(dirname "$tree")"
rm -rf "$tree"
chmod 755 "$new"
mv "$new" "$tree"
echo "$out"
