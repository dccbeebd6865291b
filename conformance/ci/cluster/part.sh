#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Does one part of the work of a lab: part.sh K/N DIR LAB-OPTIONS… The results are DIR/K.json, which exists only if the
# whole part was done, so a part that is there is not done again. The exit code is 0 if the results are there, whatever
# the verdicts are: `merge` judges them. It is 75 (EX_TEMPFAIL) if the part has to be done again.
number=${1%/*} shard=$1 directory=$2
shift 2
results=$directory/$number.json
[ -e "$results" ] && exit 0
part=$results.$$
child=
trap 'rm -f "$part"' EXIT
trap '[ -n "$child" ] && kill "$child"; exit 75' HUP INT TERM
"${IOMAP_CONFORMANCE:-iomap-conformance}" lab "$@" --shard "$shard" --format json --output "$part" &
child=$!
wait $child
code=$?
child=
case $code in
0 | 1) mv "$part" "$results" ;;
2) exit 2 ;;
*) exit 75 ;;
esac
