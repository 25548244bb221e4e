#!/bin/sh
# GET /?url=http://HOST[:PORT][/PATH]: make the request from in here. The answer is text: the status line and the
# body of what came back, or one line "error: ..." where nothing did.
url=$(httpd -d "${QUERY_STRING#url=}")
rest=${url#http://}
place=${rest%%/*}
path=/${rest#"$place"}
path=/${path#//}
host=${place%:*} port=${place##*:}
[ "$port" != "$place" ] || port=80

answer() {
    printf 'Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n'
    echo "$REMOTE_ADDR:$REMOTE_PORT: response:200" >&2
    cat
}

[ "$url" != "$rest" ] && [ -n "$host" ] || {
    echo "error: give the address as /?url=http://HOST:PORT/PATH" | answer
    exit
}
{
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: client\r\nConnection: close\r\n\r\n' "$path" "$place" |
        timeout 4 nc -w 3 "$host" "$port" 2>&1 || echo "error: no answer within 4 s"
} 2>/dev/null | awk '
    NR == 1 { sub(/\r$/, ""); web = /^HTTP\//; sub(/^nc: /, "error: "); print; next }
    web && !body { if ($0 == "\r" || $0 == "") body = 1; next }
    web { print }' | answer
