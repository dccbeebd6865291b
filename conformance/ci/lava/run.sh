#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the suite on every file system with every mechanism, with a test set for each, and signals each case to LAVA:
# run.sh [IOMAP-CONFORMANCE]. Without LAVA's own programs it prints the signals that these would print.
#
# An expected violation is `skip`, like every case without an observation: it is not news, and must not count as passed.
# A clause that holds unexpectedly is `fail`. If the suite could not do its work, the result is `unknown`.
suite=${1:-iomap-conformance}
if ! pairs=$("$suite" matrix --list); then
    echo "usage: $0 [IOMAP-CONFORMANCE]" >&2
    exit 2
fi
ktap=$(mktemp) || exit 3
trap 'rm -f "$ktap"' EXIT

if command -v lava-test-case > /dev/null; then
    start() { lava-test-set start "$1"; }
    stop() { lava-test-set stop; }
    result() { lava-test-case "$1" --result "$2"; }
else
    start() { echo "<LAVA_SIGNAL_TESTSET START $1>"; }
    stop() { echo "<LAVA_SIGNAL_TESTSET STOP>"; }
    result() { echo "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=$1 RESULT=$2>"; }
fi

echo "$pairs" | while read -r fs mechanism; do
    start "iomap-$fs-$mechanism"
    "$suite" --target host --fs "$fs" --mechanism "$mechanism" --format ktap > "$ktap" < /dev/null
    code=$?
    cat "$ktap"
    # `  ok 1 CLAUSE FAMILY::CASE # DIRECTIVE`, or `ok 1 iomap # SKIP …` if the mechanism is not offered.
    awk '/^  (not )?ok / || /^(not )?ok 1 iomap #/ {
        result = /# (SKIP|XFAIL)/ ? "skip" : /# ERROR/ ? "unknown" : /^ *not/ ? "fail" : "pass"
        sub(/^ *(not )?ok [0-9]+ /, "")
        name = $1 == "iomap" ? $1 : $2
        gsub("::", ".", name)
        print name, result
    }' "$ktap" | while read -r name result; do
        result "$name" "$result"
    done
    # If there is no report, the reason is on standard error; exit code 3 means that the machine lacks a requirement.
    case $code,$(head -c 1 "$ktap") in
    3,) result iomap skip ;;
    *,) result iomap unknown ;;
    esac
    stop
done
