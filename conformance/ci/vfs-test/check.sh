#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whether the suite runs as a suite of vfs-test: check.sh SUITE VFS-TEST KERNEL. VFS-TEST is a checkout of
# linux-fsdevel/vfs-test, which stays as it is; KERNEL a series of Debian's kernels. A guest has Debian, and systemd
# starts the unit there. In mkosi's guests the status of systemd reaches the host through a vsock; here systemd is the
# first process of a container in the guest, and the guest prints the status. Needs root, debootstrap, QEMU and kmod.
set -euo pipefail
shopt -s inherit_errexit
suite=$(realpath "$1") vfs_test=$(realpath "$2") series=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
fail() { echo "$*" >&2; exit 1; }

# The tree of vfs-test with the suite, which its own scripts have to see; installed twice is installed once.
mkdir "$work/tree"
if [ -d "$vfs_test/.github" ]; then
    cp -r "$vfs_test/." "$work/tree"
else
    git -C "$vfs_test" archive HEAD | tar -xC "$work/tree"
fi
"$here/install.sh" "$suite" "$work/tree"
"$here/install.sh" "$suite" "$work/tree"
listed=$(env -u GITHUB_OUTPUT python3 "$work/tree/.github/scripts/matrix.py" | grep -c '"test_suite": "iomap"')
[ "$listed" = 2 ] || fail "the matrix of vfs-test has the suite $listed times, not for each of two distributions"
grep -A4 'case.*test_suite' "$work/tree/.github/workflows/ci/kernel-build-test.yml" | grep -q 'unit=iomap.service' ||
    fail "the workflow of vfs-test does not start the unit"

root=$work/root
debootstrap --variant=minbase --include=systemd-sysv,dbus,kmod,xfsprogs,e2fsprogs,btrfs-progs bookworm "$root" \
    >"$work/debootstrap.log"
rm -rf "$root"/var/{cache/apt,lib/apt/lists}/* "$root"/usr/share/{doc,locale,man}
cp -r "$work/tree/ci/mkosi/mkosi.extra/usr/lib/." "$root/usr/lib"
# The kernels of vfs-test have the loop driver built in, those of Debian have not.
echo loop >"$root/etc/modules-load.d/loop.conf"
# Few cases are enough to see that the status arrives.
mkdir "$root/etc/systemd/system/iomap.service.d"
printf '[Service]\nExecStart=\nExecStart=/usr/lib/vfs-ci/run-iomap.sh truncate\n' \
    >"$root/etc/systemd/system/iomap.service.d/few.conf"
cat >"$root/guest" <<'END'
#!/bin/bash
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tmpfs tmp /tmp
code=0
container=vfs-test unshare --pid --fork --mount --mount-proc --kill-child \
    /lib/systemd/systemd --unit=iomap.service --show-status=0 </dev/null >/dev/ttyS0 2>&1 || code=$?
echo "exit status $code" >/dev/ttyS0
reboot -f
END
chmod 755 "$root/guest"

release=$("$here/../kernel.sh" "$series" "$work/kernel")
mkdir -p "$root/lib/modules"
cp -r "$work/kernel/lib/modules/$release" "$root/lib/modules"
depmod -b "$root" "$release"
(cd "$root" && find . -xdev | cpio --quiet -o -H newc) >"$work/initramfs"

# The status of the unit in a guest with these files.
status() {
    timeout 900 qemu-system-x86_64 -accel tcg -cpu qemu64,+rdrand -m 3072 -no-reboot -nodefaults -display none \
        -serial stdio -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$1" \
        -append "console=ttyS0 loglevel=4 rdinit=/guest panic=-1 tsc=unstable" </dev/null | tr -d '\r' >"$2"
    sed -n 's/^exit status //p' "$2"
}
good=$(status "$work/initramfs" "$work/good")
grep 'vfsci: running on debian' "$work/good"
[ "$good" = 123 ] || { tail -n 50 "$work/good"; fail "exit status ${good:-none}, but expected: 123"; }
echo "$(grep -c 'ok .* truncate' "$work/good") cases, all as expected: exit status 123"

# A later archive replaces files of the first.
mkdir -p "$work/bad/usr/lib/vfs-ci"
printf '#!/bin/sh\n[ "$1" != matrix ] || exec echo xfs seal\necho "not ok 1 truncate.shrink"\nexit 1\n' \
    >"$work/bad/usr/lib/vfs-ci/iomap-conformance"
chmod 755 "$work/bad/usr/lib/vfs-ci/iomap-conformance"
(cd "$work/bad" && find usr -type f | cpio --quiet -o -H newc) | cat "$work/initramfs" - >"$work/initramfs-bad"
bad=$(status "$work/initramfs-bad" "$work/bad.log")
grep 'iomap: not as expected: xfs/seal' "$work/bad.log"
[ "$bad" = 1 ] || { tail -n 50 "$work/bad.log"; fail "exit status ${bad:-none}, but expected: 1"; }
echo "a failure: exit status 1"
