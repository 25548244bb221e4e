#!/usr/bin/env bash
# Build the collection and import it as Ansible Galaxy would; any warning or error fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$(scripts/collection_tree.sh "$work/tree")
ansible-galaxy collection build --output-path "$work" "$out/ansible_collections/limani/nodes"
cd "$work"
python3 -m galaxy_importer.main limani-nodes-*.tar.gz 2>&1 | tee log
if grep -E "^(WARNING|ERROR)" log; then exit 1; fi
