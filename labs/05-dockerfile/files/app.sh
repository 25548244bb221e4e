#!/bin/sh
# A small app: says that it is ready, then works until somebody asks it to end.
trap 'echo "app: asked to end, good bye"; exit 0' TERM
echo "app: ready"
while :; do
    sleep 1d &
    wait $!
done
