#!/usr/bin/env bash
# Small changes of the reference, in shards: mutants.sh K/N tests the K-th of N parts, K from 0; mutants.sh alone adds up
# the parts that there are. The outcomes stay in target/mutants/TREE, where TREE is the tree of the sources in git, so that
# only outcomes of the same sources are added up. Needs cargo-mutants, and no changes that are not committed.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"

if [ -n "$(git status --porcelain)" ]; then
    echo "mutants.sh: the checkout has changes that are not committed: their outcomes would belong to no tree" >&2
    exit 2
fi
tree=$(git rev-parse 'HEAD^{tree}')
kept=${CARGO_TARGET_DIR:-target}/mutants/$tree

case "${1-}" in
"") ;;
*/*)
    k=${1%/*} n=${1#*/}
    if ! [[ $k =~ ^[0-9]+$ && $n =~ ^[1-9][0-9]*$ && $k -lt $n ]]; then
        echo "mutants.sh: $1 is no shard: write K/N, K from 0 to N - 1" >&2
        exit 2
    fi
    if [ -e "$kept/$n/$k/ended" ]; then
        echo "shard $1 of $tree is there already"
    else
        rm -rf "$kept/$n/$k"
        mkdir -p "$kept/$n/$k"
        # 2: mutants were missed. 3: some tests took too long, which counts as noticed.
        status=0
        # Round robin makes each shard a sample of all.
        cargo mutants --package iomap-reference --shard "$k/$n" --sharding round-robin --output "$kept/$n/$k" || status=$?
        case $status in 0 | 2 | 3) touch "$kept/$n/$k/ended" ;; *) exit "$status" ;; esac
    fi
    ;;
*)
    echo "usage: mutants.sh [K/N]" >&2
    exit 2
    ;;
esac

# The sum of each set of shards of this tree.
for set in "$kept"/*; do
    [ -d "$set" ] || continue
    n=${set##*/} ended=0 caught=0 missed=0 timeout=0 unviable=0
    for shard in "$set"/*; do
        [ -e "$shard/ended" ] || continue
        ended=$((ended + 1))
        for outcome in caught missed timeout unviable; do
            list=$shard/mutants.out/$outcome.txt
            if [ -e "$list" ]; then
                printf -v "$outcome" %d "$((${!outcome} + $(wc -l <"$list")))"
            fi
        done
        cat "$shard/mutants.out/missed.txt" 2>/dev/null || true
    done
    viable=$((caught + missed + timeout))
    rate=$(awk -v noticed=$((caught + timeout)) -v viable=$viable 'BEGIN { printf "%.1f", viable ? 100 * noticed / viable : 0 }')
    echo "$(git rev-parse --short HEAD), tree $tree: $ended of $n shards: $caught caught, $timeout too slow, $missed missed," \
        "$unviable unviable: $rate % of the viable ones noticed"
done
