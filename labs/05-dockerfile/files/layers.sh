# Reads what `docker save` writes and lists the files of every layer. A file .wh.NAME says: NAME is gone from here on.
mkdir /tmp/image
cd /tmp/image
tar -xf -
find . -type f | while read -r file; do
    gunzip -t "$file" 2>/dev/null && unpack=gunzip || unpack=cat
    if $unpack <"$file" | tar -t 2>/dev/null | grep -E '^app/.'; then
        echo "-- end of a layer"
    fi
done
