#!/usr/bin/env bash
# Run molecule's scenarios on a real cluster, with the collection as it ships.
#
#   scripts/molecule.sh [SCENARIO...]        (default: all)
#
# Needs root (the cluster). With LIMANI_TEST_CLUSTER=NAME the lab cluster of that name is used and kept (made if there is
# none), which saves its start while developing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# All of them: two lanes, because Ansible uses one core and mostly waits. The second lane's output is shown at its end.
first=(node_agent node_agent_info role_agent)
second=()
for folder in molecule/*/molecule.yml; do
    name=$(basename "$(dirname "$folder")")
    [[ " default ${first[*]} " == *" $name "* ]] || second+=("$name")
done
if (($# == 0)) && [ -n "${LIMANI_TEST_CLUSTER:-}" ]; then
    set -- "${first[@]}" "${second[@]}" # one cluster, so one after the other
elif (($# == 0)); then
    output=$(mktemp)
    scripts/molecule.sh "${second[@]}" >"$output" 2>&1 &
    beside=$!
    trap 'kill "$beside" 2>/dev/null || true; wait; cat "$output"; rm -f "$output"' EXIT
    scripts/molecule.sh "${first[@]}" && code=0 || code=$?
    wait "$beside" || code=$?
    exit "$code"
fi

[ -d .venv/bin ] && PATH=$PWD/.venv/bin:$PATH
state=$(mktemp -d "${TMPDIR:-/tmp}/limani-molecule.XXXXXX")
# Several runs may go on side by side: each has clusters of its own.
cluster=${LIMANI_TEST_CLUSTER:-molecule-$$}
clean_up() {
    # What a run that was stopped half way has left; nothing after one that ended.
    limani cluster delete "$cluster-lab" >/dev/null || true
    limani cluster delete "$cluster-role" >/dev/null || true
    [ -n "${LIMANI_TEST_CLUSTER:-}" ] || limani cluster delete "$cluster" >/dev/null || true
    rm -rf "$state"
}
trap clean_up EXIT
export MOLECULE_STATE=$state MOLECULE_CLUSTER=$cluster
# Ansible and molecule keep what they note here too, not in the user's folders.
export ANSIBLE_HOME=$state/ansible
COLLECTION_TREE=$(scripts/collection_tree.sh "$state/tree")
export COLLECTION_TREE
mkdir -p "$state/inventory"
# Modules run by the Python that has the library; "nodes" joins when the cluster is there.
cat >"$state/inventory/localhost.yml" <<YAML
all:
  hosts:
    localhost:
      ansible_connection: local
      ansible_python_interpreter: $(command -v python3)
  vars:
    cluster: $cluster
YAML

# "default" makes the cluster and deletes it, whichever scenarios run.
wanted=(--scenario-name default)
for scenario in "$@"; do wanted+=(--scenario-name "$scenario"); done
# Molecule would rather have the scenarios in extensions/; it says so each time.
molecule test "${wanted[@]}" --report --no-command-borders 2>&1 | sed -u '/should migrate to/d'
