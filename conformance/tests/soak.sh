#!/bin/sh
# Repeats whole runs on this kernel: soak.sh SUITE RUNS [FILTER]. Prints the end of the report of each run that does not
# exit with 0, and the number of such runs. Needs root.
suite=$1 runs=$2
shift 2
said=$(mktemp)
trap 'rm -f "$said"' EXIT
total=0 surprises=0
for run in $(seq "$runs"); do
    for fs in xfs ext4 btrfs; do
        for mechanism in swapfile immutable-attr; do
            "$suite" --target host --fs $fs --mechanism $mechanism --format human "$@" >"$said" 2>&1
            code=$?
            total=$((total + 1))
            if [ $code -ne 0 ]; then
                surprises=$((surprises + 1))
                echo "run $run of $fs/$mechanism ends with $code:"
                tail -n 40 "$said"
            fi
        done
    done
done
echo "$total runs, $surprises with a surprise"
[ $surprises -eq 0 ]
