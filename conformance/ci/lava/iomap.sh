#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs iomap-conformance on file systems with every mechanism, prints its KTAP, and writes a line for each case to
# output/result.txt, with a test set for each run, as send-to-lava.sh reads it:
# iomap.sh [-p PROGRAM] [-f "FILE-SYSTEM…"] [-c "CASE…"]
#
# An expected violation is `skip`, like every case without an observation: it is not news, and must not count as passed.
# A clause that holds unexpectedly is `fail`. If the suite could not do its work, the result is `unknown`.
program=iomap-conformance
filesystems=
cases=
usage() {
    echo "usage: $0 [-p PROGRAM] [-f \"FILE-SYSTEM...\"] [-c \"CASE...\"]" >&2
    exit 2
}
while getopts "p:f:c:h" option; do
    case $option in
    p) program=$OPTARG ;;
    f) filesystems=$OPTARG ;;
    c) cases=$OPTARG ;;
    *) usage ;;
    esac
done
pairs=$("$program" matrix --list) || usage
mkdir -p output || exit 3
results=output/result.txt
ktap=output/ktap.txt
: > "$results"

echo "$pairs" | while read -r fs mechanism; do
    case " ${filesystems:-$fs} " in
    *" $fs "*) ;;
    *) continue ;;
    esac
    echo "lava-test-set start iomap-$fs-$mechanism" >> "$results"
    # The words of CASES are filters.
    # shellcheck disable=SC2086
    "$program" --target host --fs "$fs" --mechanism "$mechanism" --format ktap $cases > "$ktap" < /dev/null
    code=$?
    cat "$ktap"
    # `  ok 1 CLAUSE FAMILY::CASE # DIRECTIVE`, or `ok 1 iomap # SKIP …` if the mechanism is not offered.
    awk '/^  (not )?ok / || /^(not )?ok 1 iomap #/ {
        result = /# (SKIP|XFAIL)/ ? "skip" : /# ERROR/ ? "unknown" : /^ *not/ ? "fail" : "pass"
        sub(/^ *(not )?ok [0-9]+ /, "")
        name = $1 == "iomap" ? $1 : $2
        gsub("::", ".", name)
        print name, result
    }' "$ktap" >> "$results"
    # If there is no report, the reason is on standard error; exit code 3 means that the machine lacks a requirement.
    case $code,$(head -c 1 "$ktap") in
    3,) echo "iomap skip" >> "$results" ;;
    *,) echo "iomap unknown" >> "$results" ;;
    esac
    echo "lava-test-set stop" >> "$results"
done
