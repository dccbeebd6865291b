#!/usr/bin/env bash
# Small changes of the reference, in shards: mutants.sh K/N [COMMIT] tests the K-th of N parts of that commit, by default
# HEAD, K from 0; mutants.sh alone adds up the parts of HEAD that there are. The sources come from a work tree of their
# own, so that work can go on beside it. The outcomes stay in target/mutants/TREE, where TREE is the tree of the commit in
# git, so that only outcomes of the same sources are added up. Several can run at once. Needs cargo-mutants.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
all=${CARGO_TARGET_DIR:-$PWD/target}/mutants

refuse() {
    echo "mutants.sh: $1" >&2
    exit 2
}

# A work tree that no other process uses: as COMMIT has it, with the builds of earlier shards.
work_tree() {
    for slot in 0 1 2 3 4 5 6 7; do
        tree_of_slot=$all/$tree/source$slot
        mkdir -p "$all/$tree"
        exec 9>"$tree_of_slot.lock"
        if flock -n 9; then
            [ -e "$tree_of_slot/.git" ] || git worktree add --quiet --detach "$tree_of_slot" "$commit"
            git -C "$tree_of_slot" reset --quiet --hard "$commit"
            return
        fi
    done
    refuse "eight shards of $tree run already"
}

commit=$(git rev-parse --verify --quiet "${2-HEAD}^{commit}") || refuse "${2-HEAD}: no such commit"
tree=$(git rev-parse "$commit^{tree}")

case "${1-}" in
"") ;;
*/*)
    k=${1%/*} n=${1#*/}
    [[ $k =~ ^[0-9]+$ && $n =~ ^[1-9][0-9]*$ && $k -lt $n ]] ||
        refuse "$1 is no shard: write K/N, K from 0 to N - 1"
    kept=$all/$tree/shards/$n/$k
    if [ -e "$kept/ended" ]; then
        echo "shard $1 of $tree is there already"
    else
        work_tree
        rm -rf "$kept"
        mkdir -p "$kept"
        # Without a mutant, everything must pass: once for each work tree.
        if [ ! -e "$tree_of_slot.passes" ]; then
            (cd "$tree_of_slot" && cargo test --quiet --profile mutants --package iomap-conformance --test cases --test violations)
            touch "$tree_of_slot.passes"
        fi
        # Round robin makes each shard a sample of all.
        # 2: mutants were missed. 3: some tests took too long, which counts as noticed: ten times what the tests take.
        status=0
        CARGO_TARGET_DIR=$tree_of_slot/target cargo mutants --dir "$tree_of_slot" --in-place --config .cargo/mutants.toml \
            --package iomap-reference --shard "$k/$n" --sharding round-robin --baseline skip --timeout 600 \
            --output "$kept" || status=$?
        case $status in 0 | 2 | 3) touch "$kept/ended" ;; *) exit "$status" ;; esac
    fi
    ;;
*)
    refuse "usage: mutants.sh [K/N [COMMIT]]"
    ;;
esac

# The sum of each set of shards of this tree.
for set in "$all/$tree"/shards/*; do
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
    echo "$(git log -1 --format='%h %s' "$commit"): $ended of $n shards: $caught caught, $timeout too slow, $missed missed," \
        "$unviable unviable: $rate % of the viable ones noticed"
done
