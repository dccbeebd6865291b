#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Does the work of a lab in N parts with GNU parallel, and puts the parts together: parallel.sh N DIR LAB-OPTIONS…
# Parts that failed to run are done again, up to three times; a second call goes on where the first one ended. The
# number of parts at the same time is JOBS, on the machines of PARALLEL_SSHLOGINFILE if that is set.
set -u
parts=$1 directory=$2
shift 2
here=$(dirname "$0")
mkdir -p "$directory"
seq "$parts" | parallel --jobs "${JOBS:-1}" --retries 3 --joblog "$directory/parallel.log" \
    "$here/part.sh" "{}/$parts" "$directory" "$@"
exec "$here/merge.sh" "$parts" "$directory"
