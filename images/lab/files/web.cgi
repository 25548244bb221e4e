#!/bin/sh
# GET /: which version this is, on which host it runs, and the TOKEN if there is one.
body="version $(cat /etc/web-version)
host $(hostname)${TOKEN:+
token $TOKEN}
"
printf 'Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
    "$(printf %s "$body" | wc -c)" "$body"
echo "$REMOTE_ADDR:$REMOTE_PORT: response:200" >&2
