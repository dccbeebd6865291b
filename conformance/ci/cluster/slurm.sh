#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Does the work of a lab in N parts as a job array of Slurm, waits, and puts the parts together:
# slurm.sh N DIR LAB-OPTIONS… DIR is on a file system that all nodes share. Slurm queues a part again after the loss of
# its node; a part that fails to run queues itself again, up to three times. A second call does only what is missing.
set -u
parts=$1 directory=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$directory"
missing=$(seq "$parts" | while read -r part; do [ -e "$directory/$part.json" ] || echo "$part"; done | paste -sd, -)
if [ -n "$missing" ]; then
    # The last job, which --wait waits for, ends after the last part. Its exit code is that of the worst part.
    sbatch --quiet --wait --requeue --open-mode=append --job-name=iomap-lab --array="$missing" \
        --output="$directory/%a.log" "$here/job.sh" "$here" "$parts" "$directory" "$@"
fi
exec "$here/merge.sh" "$parts" "$directory"
