#!/usr/bin/env bash
# The kind backend on the real thing: a Docker daemon of its own, our node image (both cached), a cluster of three nodes,
# agents, seeding with a node paused in the middle, deletion. Needs root and Docker's daemon (package docker.io).
#
#   scripts/test-kind.sh [PYTEST_OPTION...]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ "$(id -u)" != 0 ]; then
    echo "test-kind needs root for namespaces, mounts and cgroups; run: sudo make test-kind" >&2
    exit 1
fi
exec .venv/bin/python -m pytest -q -m integration --durations=5 "$@" tests/integration/kind
