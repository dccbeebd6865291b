#!/bin/sh
# Measures the cases per second of the suite, compared with the Rust pjdfstest on a file system of the same kind and
# size, in turns, for some rounds. It measures whole processes, including the mkfs of the suite. Prints each round and
# the medians.
#
# pjdfstest sleeps for more than nine tenths of its time: its rate depends on `naptime`, which is 10 ms here.
#
#     PJDFSTEST=PATH rate.sh COMMAND [ROUNDS]
#
# PATH is a pjdfstest, `cargo install pjdfstest`; COMMAND is a built iomap-conformance. Needs root and what mkfs needs.
set -eu

suite=${1:?the path of iomap-conformance}
rounds=${2:-5}
rival=${PJDFSTEST:?the path of pjdfstest, which cargo install pjdfstest builds}
work=$(mktemp -d)
chmod 755 "$work"

end() {
	status=$?
	trap - EXIT
	! mountpoint -q "$work/mount" || umount "$work/mount"
	rm -rf "$work"
	exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM HUP
mkdir "$work/mount"
cat >"$work/settings" <<END
[features]
posix_fallocate = {}
rename_ctime = {}
stat_st_birthtime = {}
utime_now = {}
utimensat = {}
[settings]
naptime = 0.01
[dummy_auth]
entries = [["nobody", "$(id -gn nobody)"], ["daemon", "$(id -gn daemon)"]]
END

# rate COUNT BEGIN END: prints the rate; the times are in nanoseconds.
rate() { echo "$1 $2 $3" | awk '{ printf "%.0f\n", $1 * 1e9 / ($3 - $2) }'; }
middle() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for fs in xfs btrfs; do
	truncate -s 320M "$work/image"
	PATH=$PATH:/sbin:/usr/sbin "mkfs.$fs" -q -f -K "$work/image"
	# Unmounting also detaches the loop device.
	mount -o loop "$work/image" "$work/mount"
	chmod 755 "$work/mount"
	: >"$work/ratios"
	for round in $(seq "$rounds"); do
		begin=$(date +%s%N)
		"$suite" --target host --fs "$fs" --mechanism swapfile --format json --output "$work/results" || true
		ours=$(rate "$(grep -c '"duration_ms"' "$work/results")" "$begin" "$(date +%s%N)")
		begin=$(date +%s%N)
		# pjdfstest exits with a failure if a test fails.
		NO_COLOR=1 "$rival" -p "$work/mount" -c "$work/settings" >"$work/output" 2>"$work/errors" || true
		theirs=$(rate "$(grep -cE '^[a-z_0-9:]+::[a-z_0-9:]+ +(ok|FAILED)$' "$work/output")" "$begin" "$(date +%s%N)")
		ratio=$(echo "$ours $theirs" | awk '{ printf "%.2f\n", $1 / $2 }')
		echo "$ratio" >>"$work/ratios"
		echo "$fs, round $round: $ours cases a second with swap files; pjdfstest $theirs tests a second; ratio $ratio"
	done
	echo "$fs: median of the ratios $(middle <"$work/ratios")"
	umount "$work/mount"
	rm "$work/image"
done
