#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whether a work in eight parts has the results of the same work in one, by Slurm and by GNU parallel: check.sh SUITE
# KERNEL. Slurm is real: a controller and two nodes on this machine. One part is killed half-way, another fails to run
# the first time, and both are queued again. Needs root, slurm-wlm, munge, parallel and jq.
set -euo pipefail
shopt -s inherit_errexit
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
# A job that is queued again waits until its old credentials have expired: 5 seconds here, 120 without cred_expire.
cat >"$SLURM_CONF" <<END
ClusterName=suite
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=5
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

options=(--kernel "$kernel" --fs xfs ext4 btrfs f2fs xfs-dax ext4-dax f2fs-lfs f2fs-zoned overlay)
options+=(--mechanism seal immutable-attr --case truncate --guests 1)
fail() { echo "$*" >&2; exit 1; }
# The verdicts of a work may be unexpected, but it has to be complete.
complete() { "$@" || [ $? = 1 ]; }
complete "$IOMAP_CONFORMANCE" lab "${options[@]}" --format json --output "$work/one.json"

# The results without times and descriptors, which no two runs share: those are in the sentences and calls of a case.
same() {
    jq --sort-keys 'walk(if type == "object" then del(.started, .duration_ms, .trace)
        | if has("detail") then .detail |= (strings | gsub("[0-9]+"; "N")) else . end else . end)' "$1"
}
# The runs of documents, one a line.
runs() { jq --compact-output --sort-keys '.runs[]' "$@" | sort; }
compare() {
    diff <(same "$work/one.json") <(same "$work/$1/all.json") >"$work/differences" ||
        { head -n 20 "$work/differences"; fail "$1: the whole differs from the same work in one part"; }
    cmp <(runs "$work/$1/all.json") <(runs "$work/$1"/[1-8].json) || fail "$1: the whole is not the sum of its parts"
    echo "$1: 8 parts equal the work in one"
}

# A suite that fails to run part 4 once.
cat >"$work/suite" <<END
#!/bin/sh
case " \$* " in
*" --shard 4/8 "*) [ -e "$work/failed" ] || { : >"$work/failed"; echo "no machine for part 4"; exit 3; } ;;
esac
exec "$IOMAP_CONFORMANCE" "\$@"
END
chmod 755 "$work/suite"
IOMAP_CONFORMANCE=$work/suite "$here/slurm.sh" 8 "$work/slurm" "${options[@]}" &
array=$!
# Part 1 has two guests.
until grep -qs 'immutable-attr done' "$work/slurm/1.log"; do
    kill -0 $array
    sleep 0.2
done
running=$(squeue --noheader --array --states=running --format=%i | grep '_1$')
scontrol requeue "$running"
echo "killed and queued again: $running"
complete wait $array
compare slurm
[ "$(grep -c " xfs: qemu" "$work/slurm/1.log")" = 2 ] || fail "part 1 was not begun twice: $work/slurm/1.log"
[ "$(grep -c 'no machine for part 4' "$work/slurm/4.log")" = 1 ] || fail "part 4 has not failed once"

# Nothing is left to do.
logs() { cat "$work"/slurm/*.log | wc -l; }
before=$(logs)
rm "$work/slurm/all.json"
complete "$here/slurm.sh" 8 "$work/slurm" "${options[@]}"
compare slurm
[ "$(logs)" = "$before" ] || fail "parts that were there were done again"

rm "$work/failed"
IOMAP_CONFORMANCE=$work/suite JOBS=2 complete "$here/parallel.sh" 8 "$work/parallel" "${options[@]}"
compare parallel
[ -e "$work/failed" ] || fail "part 4 has not failed once"

# Parts that are missing, there twice, or cut off are no whole.
cp "$work/slurm/3.json" "$work/three.json"
head -c 1000 "$work/parallel/2.json" >"$work/half.json"
rm "$work/slurm/5.json"
refused() {
    local words=$1 code=0 said
    shift
    said=$("$IOMAP_CONFORMANCE" merge "$@" 2>&1 >/dev/null) || code=$?
    said=${said//$work\//}
    [[ $code -gt 1 && $said = *"$words"* ]] || fail "merge ends with $code and says: $said"
    echo "refused with $code: $said"
}
refused "missing: part 5" "$work"/slurm/[1-8].json
refused "are both part 3" "$work"/parallel/[1-8].json "$work/three.json"
refused "half.json" "$work/parallel/1.json" "$work/half.json"
