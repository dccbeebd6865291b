#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The suite on one file system with one mechanism, which the name of the script says: xfs-swapfile.sh.
name=$(basename "$0" .sh)
ktap=$("$(dirname "$0")/iomap-conformance" --target host --fs "${name%%-*}" --mechanism "${name#*-}" --format ktap)
code=$?
[ -z "$ktap" ] || printf '%s\n' "$ktap"

# For kselftest 4 is a skip, and for the suite an internal error.
case $code,$ktap in
0,*"ok 1 iomap # SKIP"*) exit 4 ;; # not offered
3,) exit 4 ;;                      # no root, or no mkfs
0,*) exit 0 ;;
*) exit 1 ;;
esac
