#!/bin/sh
# Runs fsx on the mounted reference: random reads, overwrites, truncations, mappings, holes and copies, on two files at
# a time, through a cache that is smaller than each file. Needs root, or fusermount3.
#
#     FSX=PATH fsx.sh COMMAND
#
# PATH is an fsx, `cargo install fsx`; COMMAND is a built iomap-reference. In the environment, DURATION is the duration
# in seconds, and SEED the first seed. After each pair of seeds the image is checked and mounted again.
set -eu

command=${1:?the path of iomap-reference}
fsx=${FSX:?the path of fsx, which cargo install fsx builds}
duration=${DURATION:-3600}
first=${SEED:-1}
# The number of operations for each seed; they take about a minute.
operations=${OPERATIONS:-20000}

work=$(mktemp -d)
mkdir "$work/mount"

unmounted() {
	if [ "$(id -u)" = 0 ]; then umount "$@" "$work/mount"; else fusermount3 -u "$work/mount"; fi
}

end() {
	status=$?
	trap - EXIT
	# Running programs would prevent unmounting.
	for process in ${one:-} ${other:-}; do kill "$process" 2>"$work/kill" || true; done
	! mountpoint -q "$work/mount" || unmounted || unmounted -l
	# Keep the files of a failure for examination.
	if [ "$status" = 0 ]; then rm -rf "$work"; else echo "the image and what fsx said are in $work" >&2; fi
	exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

cat >"$work/configuration" <<END
flen = 4194304
[opsize]
max = 262144
[weights]
close_open = 1
read = 10
write = 10
mapread = 10
mapwrite = 10
invalidate = 1
truncate = 5
fsync = 0.2
fdatasync = 0.2
posix_fallocate = 5
punch_hole = 5
sendfile = 5
posix_fadvise = 1
copy_file_range = 5
END

"$command" mkfs --size 16M "$work/image" >"$work/mkfs"
begin=$(date +%s)
seed=$first
while now=$(date +%s); [ $((now - begin)) -lt "$duration" ]; do
	"$command" mount --cache 1M "$work/image" "$work/mount"
	"$fsx" -q -N "$operations" -S "$seed" -f "$work/configuration" -P "$work" "$work/mount/one" >"$work/one" 2>&1 &
	one=$!
	"$fsx" -q -N "$operations" -S $((seed + 1)) -f "$work/configuration" -P "$work" "$work/mount/other" >"$work/other" 2>&1 &
	other=$!
	wait "$one" || { echo "seed $seed failed:"; tail -n 60 "$work/one"; exit 1; }
	wait "$other" || { echo "seed $((seed + 1)) failed:"; tail -n 60 "$work/other"; exit 1; }
	one='' other=''
	unmounted
	# When the image can be locked, the daemon has ended.
	flock -w 60 "$work/image" true
	"$command" fsck "$work/image" >"$work/fsck" || { cat "$work/fsck"; exit 1; }
	seed=$((seed + 2))
done
now=$(date +%s)
echo "$((now - begin)) seconds, seeds $first to $((seed - 1)), $operations operations each: all read what was written, and the image is whole"
