#!/usr/bin/env bash
# Run every linter, all of them even if one fails; each under a header that names the command to repeat it.
#
#   scripts/lint.sh [NAME...]      (ruff, mypy, imports, yamllint, shellcheck, changelog, ansible-lint, docs, sanity, importer)
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH
export PATH

all=(ruff mypy imports yamllint shellcheck changelog ansible-lint docs sanity importer)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/limani

run() {
    case $1 in
    ruff) ruff check . && ruff format --check . ;;
    mypy) mypy --strict src/limani ;;
    imports) lint-imports ;;
    yamllint) yamllint --strict galaxy.yml meta roles playbooks changelogs molecule .config .ansible-lint .yamllint ;;
    shellcheck)
        if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh; else echo "shellcheck is not installed; left out"; fi ;;
    changelog) antsibull-changelog lint ;;
    ansible-lint)
        out=$(scripts/collection_tree.sh "$cache/lint-tree" molecule .ansible-lint .yamllint) || return
        (cd "$out/ansible_collections/limani/nodes" && ANSIBLE_COLLECTIONS_PATH=$out ansible-lint --nocolor) ;;
    docs)
        out=$(scripts/collection_tree.sh "$cache/lint-tree" molecule .ansible-lint .yamllint) || return
        (cd "$out/ansible_collections/limani/nodes" && antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck .) ;;
    sanity) scripts/sanity.sh ;;
    importer) scripts/importer.sh ;;
    *) echo "lint.sh: no linter is called $1; there are ${all[*]}" >&2; return 2 ;;
    esac
}

# Those that take half of the time run beside the others; their output is shown when it is their turn.
aside=(sanity importer)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lane=
if (($# == 0)); then
    for name in "${aside[@]}"; do
        begun=$SECONDS
        run "$name" >"$work/$name" 2>&1
        echo "$? $((SECONDS - begun))" >"$work/$name.end"
    done &
    lane=$!
fi

failed=()
for name in "${@:-${all[@]}}"; do
    echo "=== $name (scripts/lint.sh $name)"
    begun=$SECONDS
    if [[ $lane && " ${aside[*]} " == *" $name "* ]]; then
        wait "$lane"
        cat "$work/$name"
        read -r code seconds <"$work/$name.end" || code=1 seconds=0 # it was ended before it could say
    else
        run "$name"
        code=$? seconds=$((SECONDS - begun))
    fi
    if ((code == 0)); then echo "    ok, $seconds s"; else failed+=("$name"); echo "    FAILED, $seconds s"; fi
done
if ((${#failed[@]})); then
    echo "=== lint failed: ${failed[*]}"
    exit 1
fi
echo "=== lint passed"
