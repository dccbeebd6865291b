#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whether a work in eight parts has the results of the same work in one, by Slurm and by GNU parallel: check.sh SUITE
# KERNEL. Slurm is real: a controller and two nodes on this machine. One part is killed while it runs and queued again.
# Needs root, slurm-wlm, munge, parallel and jq.
set -euo pipefail
IOMAP_CONFORMANCE=$(realpath "$1") kernel=$2
export IOMAP_CONFORMANCE
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
export SLURM_CONF=$work/slurm.conf
daemons=()
cleanup() {
    scancel --quiet --user=root 2>/dev/null || true
    [ ${#daemons[@]} -eq 0 ] || kill "${daemons[@]}" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap cleanup EXIT
for program in slurmctld slurmd munged sbatch parallel jq; do
    command -v $program >/dev/null || { echo "missing: $program (slurm-wlm munge parallel jq)" >&2; exit 3; }
done

chmod 755 "$work"
mkdir -p "$work"/{munge,state,spool-n1,spool-n2}
chmod 700 "$work/munge"
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 400 "$work/munge/key"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/log" --seed-file="$work/munge/seed" 2>/dev/null &
daemons+=($!)
host=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=suite
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/%n.pid
SlurmdSpoolDir=$work/spool-%n
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/linear
MailProg=/bin/true
ReturnToService=2
SlurmctldTimeout=300
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=16821 CPUs=1
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=16822 CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
slurmctld -D >"$work/slurmctld.log" 2>&1 &
daemons+=($!)
for node in n1 n2; do
    slurmd -D -N $node >"$work/$node.log" 2>&1 &
    daemons+=($!)
done
for _ in $(seq 300); do
    [ "$(sinfo --noheader --Format=StateLong --states=idle 2>/dev/null | wc -l)" -gt 0 ] && [ "$(sinfo --noheader --format=%D --states=idle)" = 2 ] && break
    # There is no event to wait for: the nodes register when they are ready.
    sleep 0.2
done
sinfo

options=(--kernel "$kernel" --fs xfs ext4 btrfs f2fs xfs-dax ext4-dax f2fs-lfs overlay nfs --mechanism seal immutable-attr)
options+=(--case truncate --guests 1)
"$IOMAP_CONFORMANCE" lab "${options[@]}" --format json --output "$work/one.json" || [ $? = 1 ]

# The results without times, which no two runs share.
same() {
    jq --sort-keys 'walk(if type == "object" then del(.started, .duration_ms) else . end)' "$1"
}
compare() {
    if ! cmp <(same "$work/one.json") <(same "$work/$1/all.json"); then
        echo "$1: the whole differs from the same work in one part" >&2
        exit 1
    fi
    echo "$1: 8 parts equal the work in one"
}

"$here/slurm.sh" 8 "$work/slurm" "${options[@]}" &
array=$!
until running=$(squeue --noheader --array --states=running --format=%i | head -1) && [ -n "$running" ]; do
    kill -0 $array
    sleep 0.2
done
scontrol requeue "$running"
echo "killed and queued again: $running"
wait $array || [ $? = 1 ]
compare slurm

# Nothing is left to do.
rm "$work/slurm/all.json"
"$here/slurm.sh" 8 "$work/slurm" "${options[@]}" || [ $? = 1 ]
compare slurm

JOBS=2 "$here/parallel.sh" 8 "$work/parallel" "${options[@]}" || [ $? = 1 ]
compare parallel

# A part that is missing, or there twice, is named.
cp "$work/slurm/3.json" "$work/three.json"
rm "$work/slurm/5.json"
refused() {
    code=0
    said=$("$IOMAP_CONFORMANCE" merge "$@" 2>&1 >/dev/null) || code=$?
    echo "refused with $code: ${said//$work\//}"
}
refused "$work"/slurm/[1-8].json
refused "$work"/parallel/[1-8].json "$work/three.json"
head -c 1000 "$work/parallel/2.json" >"$work/half.json"
refused "$work/parallel/1.json" "$work/half.json"
