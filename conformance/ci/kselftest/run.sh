#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the suite on one file system with one mechanism, which are in the name of the script: xfs-swapfile.sh.
name=$(basename "$0" .sh)
ktap=$("$(dirname "$0")/iomap-conformance" --target host --fs "${name%%-*}" --mechanism "${name#*-}" --format ktap)
code=$?
[ -z "$ktap" ] || printf '%s\n' "$ktap"

# Exit code 4 means a skip for kselftest, but an internal error for the suite.
case $code,$ktap in
0,*"ok 1 iomap # SKIP"*) exit 4 ;; # not offered
3,) exit 4 ;;                      # no root, or no mkfs
0,*) exit 0 ;;
*) exit 1 ;;
esac
