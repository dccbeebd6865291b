#!/bin/bash
# Measures the rates from which the book computes the cost of a wide run: calls on the reference, calls on file systems of
# this kernel, and guests: wide.sh SUITE KERNEL OUTPUT. Needs root, the mkfs programs, jq and what the lab needs.
set -euo pipefail
shopt -s inherit_errexit
suite=$(realpath "$1") kernel=$2 output=$3
work=$(mktemp -d)
end() {
	! mountpoint -q "$work/mount" || umount "$work/mount"
	rm -rf "$work"
}
trap end EXIT
mkdir "$work/mount"
rates=()
# add WHAT RATE COMMAND
add() {
	rates+=("$(jq -n --arg what "$1" --argjson per_second "$2" --arg by "$3" '{$what, $per_second, $by}')")
	echo "$1: $2 a second" >&2
}
bench="cargo bench -p iomap-reference --bench operations"

$bench --no-run >&2
add model "$($bench 2>/dev/null | awk '$1 == "mix" { print $2 }')" "$bench"
for fs in xfs ext4 btrfs f2fs; do
	truncate -s 2G "$work/image"
	quiet=-q
	[ $fs != ext4 ] || quiet=-qF
	PATH=$PATH:/sbin:/usr/sbin mkfs.$fs $quiet "$work/image" >&2
	if ! mount -o loop "$work/image" "$work/mount" 2>/dev/null; then
		echo "$fs: not measured, this kernel does not mount it" >&2
		rm "$work/image"
		continue
	fi
	add $fs "$($bench -- "$work/mount" 2>/dev/null | sed -n 's/.*: //p')" "$bench -- DIRECTORY"
	umount "$work/mount"
	rm "$work/image"
done
# From the start of the lab to its end, with the first case.
guest=(lab --kernel "$kernel" --fs ext4 --mechanism immutable-attr --case truncate::shrink)
boot() {
	"$suite" "${guest[@]}" >"$work/said" 2>&1 || { cat "$work/said" >&2; return 1; }
}
boot
begin=$(date +%s%N)
for _ in 1 2 3; do boot; done
add guest "$(echo "$begin $(date +%s%N)" | awk '{ printf "%.3f", 3e9 / ($2 - $1) }')" "iomap-conformance ${guest[*]}"

mkdir -p "$(dirname "$output")"
printf '%s\n' "${rates[@]}" | jq -s --arg started "$(date -u +%Y-%m-%dT%H:%M:%SZ)" --arg release "$(uname -r)" \
	--argjson processors "$(nproc)" '{schema: 1, $started, kernel: {$release}, $processors, rates: .}' >"$output.new"
mv "$output.new" "$output"
