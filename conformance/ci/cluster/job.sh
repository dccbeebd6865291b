#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The job of slurm.sh, one for each part: job.sh SCRIPTS N DIR LAB-OPTIONS… Slurm runs a copy of this file, so the place
# of the other scripts is an argument.
scripts=$1 parts=$2 directory=$3
shift 3
"$scripts/part.sh" "$SLURM_ARRAY_TASK_ID/$parts" "$directory" "$@"
code=$?
if [ $code = 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    # Slurm ends this job now.
    sleep 60
fi
exit $code
