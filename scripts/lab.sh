#!/usr/bin/env bash
# The way into the learning lab: set up what the first lesson needs (no cluster), build the images of the lessons, start
# the lesson and say what to type next. Runs without a terminal too. Language: LIMANI_LANG, else that of the system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh --lab
.venv/bin/python -m images.lab.build >/dev/null
.venv/bin/limani lab start first-success
language=${LIMANI_LANG:-${LC_ALL:-${LC_MESSAGES:-${LANG:-}}}}
# Inside the lab's shell the command is found as limani.
if [ "${language:0:2}" = el ]; then
    echo
    echo "Πληκτρολογήστε τώρα:   $PWD/.venv/bin/limani lab shell"
    echo "Όταν θέλετε να φύγουν όλα:   $PWD/.venv/bin/limani lab down"
else
    echo
    echo "Type this next:   $PWD/.venv/bin/limani lab shell"
    echo "To remove it all: $PWD/.venv/bin/limani lab down"
fi
