#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the suite on every file system with every mechanism, or only the cases that FILTER means: run-iomap.sh [FILTER…].
# It fails if a verdict is not as expected, if a run could not do its work, or if the machine could do no run at all.
set -euo pipefail

. /usr/lib/vfs-ci/vfs-ci-lib.sh

suite=/usr/lib/vfs-ci/iomap-conformance
pairs=$("$suite" matrix --list)
ran=0 failed=()
while read -r fs mechanism; do
    code=0
    ktap=$("$suite" --target host --fs "$fs" --mechanism "$mechanism" --format ktap "$@" </dev/null) || code=$?
    [ -z "$ktap" ] || printf '%s\n' "$ktap"
    case $code,$ktap in
    3,) continue ;; # no mkfs for this file system: standard error says so
    0,*) ;;
    *) failed+=("$fs/$mechanism") ;;
    esac
    ran=$((ran + 1))
done <<<"$pairs"

[ ${#failed[@]} -eq 0 ] || echo "iomap: not as expected: ${failed[*]}"
[ $ran -gt 0 ] || echo "iomap: nothing could run on this machine"
[ $ran -gt 0 ] && [ ${#failed[@]} -eq 0 ]
