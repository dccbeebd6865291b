#!/bin/bash
# Installs the suite into a built tree of fstests and runs it on XFS, ext4 and btrfs, together with fstests' own tests
# of swap files: check.sh IOMAP-CONFORMANCE FSTESTS. Needs root, the mkfs programs and 2 GiB in TMPDIR.
set -euo pipefail

if [ -z "${IOMAP_NAMESPACE:-}" ]; then
    IOMAP_NAMESPACE=yes exec unshare --mount --propagation private "$0" "$@"
fi

"$(dirname "$0")/install.sh" "$1" "$2"
cd "$2"
place=$(mktemp -d)
trap 'cd /; umount --quiet --lazy "$place" || :; rmdir "$place"' EXIT
mount -t tmpfs none "$place"
mkdir "$place/test" "$place/scratch"

# Makes a loop device that detaches itself after its last use, however this script ends: `device` is its name, and the
# descriptor keeps it. Its file has no name.
attach() {
    local image
    image=$(mktemp)
    truncate -s 4G "$image"
    device=$(losetup --find --show "$image")
    rm "$image"
    # shellcheck disable=SC2034 # that it is open is its use
    exec {keep}< "$device"
    losetup --detach "$device"
}
attach && export TEST_DEV=$device
attach && export SCRATCH_DEV=$device
export TEST_DIR=$place/test SCRATCH_MNT=$place/scratch

worst=0
for FSTYP in xfs ext4 btrfs; do
    export FSTYP RESULT_BASE=$place/$FSTYP
    wipefs --all --quiet "$TEST_DEV"
    "mkfs.$FSTYP" -q "$TEST_DEV"
    for tests in "iomap" "swap -x iomap"; do
        begin=$EPOCHREALTIME
        # shellcheck disable=SC2086 # an option and its argument
        ./check -g $tests || worst=1
        echo "$FSTYP: check -g $tests: $(bc <<< "$EPOCHREALTIME - $begin") s"
    done
    cat "$RESULT_BASE"/generic/*-iomap-*.full |
        awk '/^ +(not )?ok/ && !/# SKIP/ { n++ } END { print ENVIRON["FSTYP"] ": cases of iomap with a verdict: " n }'
    echo "$FSTYP: the suite alone, with swap files:"
    src/iomap-conformance --target host --fs "$FSTYP" --mechanism swapfile --timings 2>&1 > /dev/null | tail -n 1
done
exit $worst
