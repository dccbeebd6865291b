#!/bin/bash
# Measures the time from the start of the lab to its first verdict on XFS. It is compared with an initramfs made by
# hand, and with virtme-ng if that is installed (vng, from PyPI): with the same kernel and accelerator, in turns, for
# some rounds. Prints the medians of times and of ratios.
#
#     conformance/benches/lab.sh [VERSION [ROUNDS]]
#
# Needs busybox-static, cpio, xfsprogs, kmod and QEMU; virtme-ng wants root.
set -euo pipefail
version=${1:-6.12} rounds=${2:-3}
lab=target/release/iomap-conformance
scratch=$(mktemp -d)
links=()
trap 'rm -rf "$scratch" "${links[@]}"' EXIT

# The first run fills the caches, and its output names the kernel.
"$lab" lab --kernel "$version" --fs xfs --mechanism immutable-attr --case truncate::shrink --accelerator tcg \
	>"$scratch/table" 2>"$scratch/told"
image=$(grep -o -- '-kernel [^ ]*' "$scratch/told" | cut -d' ' -f2)
release=$(sed -n 's/ xfs: qemu-system.*//p' "$scratch/told")
modules=$(ls -td "${XDG_CACHE_HOME:-$HOME/.cache}"/iomap-conformance/kernels/*/contents/lib/modules/"$release" | head -1)
root=${modules%/lib/modules/*}

# By hand: busybox, the modules, and an existing file system. The guest mounts it, writes a file, and ends.
mkdir -p "$scratch/guest"/{bin,modules,dev,mnt}
cp /bin/busybox "$scratch/guest/bin"
{
	echo '#!/bin/busybox sh'
	echo '/bin/busybox mount -t devtmpfs devtmpfs /dev'
	for module in virtio_pci virtio_blk xfs; do
		modprobe -C /dev/null -S "$release" -d "$root" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		name=$(basename "${file%.xz}")
		case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac >"$scratch/guest/modules/$name"
		echo "/bin/busybox insmod /modules/$name"
	done
	echo '/bin/busybox mount -t xfs /dev/vda /mnt && echo mounted >/mnt/file && /bin/busybox cat /mnt/file'
	echo '/bin/busybox umount /mnt'
	echo '/bin/busybox reboot -f'
} >"$scratch/guest/init"
chmod +x "$scratch/guest/init"
(cd "$scratch/guest" && find . | cpio -o -H newc --quiet) >"$scratch/initramfs"
truncate -s 320M "$scratch/image"
mkfs.xfs -q -f "$scratch/image"

by_hand() {
	qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -accel tcg,thread=single -cpu qemu64,+rdrand \
		-smp 1 -m 2048 -kernel "$image" -initrd "$scratch/initramfs" -append 'console=ttyS0 loglevel=5 panic=-1 reboot=t' \
		-serial "file:$scratch/console" -drive "file=$scratch/image,if=virtio,format=raw,cache=unsafe"
	grep -q mounted "$scratch/console"
}

the_lab() {
	# Until the first case has ended; the rest does not count.
	"$lab" lab --kernel "$version" --fs xfs --mechanism immutable-attr --case truncate::shrink --accelerator tcg \
		2>&1 >/dev/null | sed -nu 's/.*the first case has ended//p' | { read -r _; date +%s%N >"$scratch/end"; cat >/dev/null; }
}

virtme() {
	# Without udev, vng prints the output of the command only with --verbose, and exits with 255.
	{ vng -v -r "$root/boot/vmlinuz-$release" --disable-kvm --force-9p --memory 2G -- echo it ran </dev/null 2>&1 || true; } |
		grep '^it ran' >/dev/null
}

rivals=(the_lab by_hand)
if command -v vng >/dev/null && [ "$(id -u)" = 0 ]; then
	rivals+=(virtme)
	# vng looks for the modules at the place of installed ones.
	if [ ! -e "/lib/modules/$release" ]; then
		mkdir -p /lib/modules
		ln -s "$modules" "/lib/modules/$release"
		links+=("/lib/modules/$release")
	fi
fi
for round in $(seq "$rounds"); do
	for rival in "${rivals[@]}"; do
		rm -f "$scratch/end"
		begin=$(date +%s%N)
		"$rival"
		end=$(cat "$scratch/end" 2>/dev/null || date +%s%N)
		echo $(((end - begin) / 1000000)) >>"$scratch/$rival"
		echo "round $round: $rival $(tail -1 "$scratch/$rival") ms" >&2
	done
done

median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }
for rival in "${rivals[@]}"; do
	# Compare within a round, because the other load on the machine changes from round to round.
	ratio=$(paste "$scratch/the_lab" "$scratch/$rival" | awk '{ print $1 / $2 }' | median)
	printf '%-8s %6d ms   the lab takes %.2f of that\n' "$rival" "$(median <"$scratch/$rival")" "$ratio"
done
