#!/bin/sh
# Runs pjdfstest on ext4 and on the mounted reference: each test that passes on ext4 must pass on the reference, except
# for the differences that pjdfstest.txt explains. Needs root.
#
#     PJDFSTEST=PATH pjdfstest.sh COMMAND
#
# PATH is a pjdfstest, `cargo install pjdfstest`; COMMAND is a built iomap-reference. With PATTERN in the environment,
# only tests whose names contain it run.
set -eu

command=${1:?the path of iomap-reference}
suite=${PJDFSTEST:?the path of pjdfstest, which cargo install pjdfstest builds}
explained=$(dirname "$0")/pjdfstest.txt
[ "$(id -u)" = 0 ] || { echo "pjdfstest mounts file systems and becomes other users: it takes root" >&2; exit 2; }

work=$(mktemp -d)
# Other users need access to the directory.
chmod 755 "$work"

end() {
	status=$?
	trap - EXIT
	for point in "$work/ext4" "$work/reference" "$work/other"; do
		! mountpoint -q "$point" || umount "$point" || umount -l "$point"
	done
	rm -rf "$work"
	exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

mkdir "$work/ext4" "$work/reference" "$work/other"
truncate -s 256M "$work/ext4.image"
mkfs.ext4 -q "$work/ext4.image"
# Unmounting also detaches the loop device.
mount -o loop,nodev,nosuid "$work/ext4.image" "$work/ext4"
"$command" mkfs --size 256M "$work/reference.image" >"$work/mkfs"
"$command" mount --allow-other "$work/reference.image" "$work/reference"
mount -t tmpfs -o size=16M none "$work/other"

# The tests remount by mount(8), which would call mount.fuse(8). That fails, because the file system is not a program.
mkdir "$work/bin"
printf '#!/bin/sh\nexec %s -i "$@"\n' "$(command -v mount)" >"$work/bin/mount"
chmod 755 "$work/bin/mount"

# The same configuration for both. The second user exists on every system.
for remount in false true; do
	cat >"$work/remount-$remount" <<END
[features]
posix_fallocate = {}
rename_ctime = {}
stat_st_birthtime = {}
utime_now = {}
utimensat = {}
secondary_fs = "$work/other"
[settings]
naptime = 0.02
allow_remount = $remount
[dummy_auth]
entries = [["nobody", "$(id -gn nobody)"], ["daemon", "$(id -gn daemon)"]]
END
done

# The results of a run, one line for each test.
results() {
	target=$1
	shift
	# pjdfstest exits with a failure if a test fails; the comparison decides about that.
	PATH=$work/bin:$PATH NO_COLOR=1 "$suite" -p "$work/$target" "$@" >"$work/output" 2>"$work/errors" || true
	grep -q '^Summary' "$work/output" || { cat "$work/output" "$work/errors" >&2; touch "$work/broken"; }
	cat "$work/output" >>"$work/$target.output"
	sed -n 's/^\([a-z_0-9:]*::[a-z_0-9:]*\) *\(ok\|FAILED\|skipped\)$/\1 \2/p' "$work/output"
}

for target in ext4 reference; do
	chmod 755 "$work/$target"
	# Some tests leave files open, which prevents remounting, so tests that remount run in a process of their own.
	results "$target" -c "$work/remount-false" ${PATTERN:+"$PATTERN"} | sed '/::erofs_/d' >"$work/ordinary"
	results "$target" -c "$work/remount-true" "${PATTERN:-::erofs_}" | sed -n '/::erofs_/p' >"$work/remounting"
	[ ! -e "$work/broken" ] || exit 1
	sort "$work/ordinary" "$work/remounting" >"$work/$target.results"
	count() { grep -c " $1\$" "$work/$target.results" || true; }
	echo "$target: $(count ok) passed, $(count FAILED) failed, $(count skipped) skipped"
done

join "$work/ext4.results" "$work/reference.results" >"$work/both"
worse=0
while read -r name ext4 reference; do
	if [ "$ext4" = "$reference" ]; then
		[ "$ext4" = ok ] || echo "$name: $ext4 on both"
		continue
	fi
	reason=$(sed -n "s/^$name  *//p" "$explained")
	echo "$name: $ext4 on ext4, $reference on the reference${reason:+; $reason}"
	if [ "$ext4" = ok ] && [ -z "$reason" ]; then
		worse=1
		# The message of the test.
		grep -A1 "^$name .*$reference" "$work/reference.output" | tail -n 1
	fi
done <"$work/both"
exit "$worse"
