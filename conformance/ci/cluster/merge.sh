#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Puts the parts 1 to N in DIR together, as DIR/all.json: merge.sh N DIR. The exit code is that of the whole work.
parts=$1 directory=$2
# A part that is missing is named by `merge`, not by the shell.
set --
for part in $(seq "$parts"); do
    [ -e "$directory/$part.json" ] && set -- "$@" "$directory/$part.json"
done
if [ $# -eq 0 ]; then
    echo "no part of $parts is there: see the logs in $directory" >&2
    exit 3
fi
exec "${IOMAP_CONFORMANCE:-iomap-conformance}" merge "$@" --output "$directory/all.json"
