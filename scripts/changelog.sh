#!/usr/bin/env bash
# Turn the fragments of changelogs/fragments into the entry of the version galaxy.yml names, in changelogs/changelog.yaml and
# CHANGELOG.md. Done once per release; antsibull-changelog needs the plugins' documentation, hence the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scripts/collection_tree.sh "$work" >/dev/null
tree=$work/ansible_collections/limani/nodes
mkdir -p "$tree/changelogs/fragments"
(cd "$tree" && ANSIBLE_COLLECTIONS_PATH=$work antsibull-changelog release "$@")
cp "$tree/CHANGELOG.md" .
cp "$tree/changelogs/changelog.yaml" changelogs/
for fragment in changelogs/fragments/*.yml; do
    [ -e "$tree/$fragment" ] || rm -f "$fragment"
done
