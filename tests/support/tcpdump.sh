#!/bin/sh
# Stands in for tcpdump: the device names a folder, with the bytes to write and what to do then.
echo "$@" > "$2/args"
cat "$2/bytes"
. "$2/then"
