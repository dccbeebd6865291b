#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Unpacks Debian's newest kernel of a series, with the modules that the suite can need, into a directory of kernels that
# `lab` takes: kernel.sh SERIES DIR. Prints the release.
set -euo pipefail
series=$1
mkdir -p "$2"
directory=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
name=$(apt-cache pkgnames "linux-image-$series" | grep -E "^linux-image-$series\.[0-9]+([.+-][0-9a-z]+)?-amd64$" |
    sort -V | tail -n 1)
[ "$name" ] || { echo "apt knows no kernel $series for amd64: apt-get update" >&2; exit 3; }
apt-get -qq download "$name" 2>/dev/null
# tar complains of a pattern without a match: such a place is empty in this kernel.
dpkg-deb --fsys-tarfile ./*.deb | tar -xC "$directory" --wildcards './boot/vmlinuz-*' './*/modules.*' \
    './*/kernel/'{arch,block,crypto,fs,lib,drivers/block,drivers/char,drivers/virtio}'/*' 2>/dev/null || true
release=${name#linux-image-}
[ -e "$directory/boot/vmlinuz-$release" ] || { echo "$name: no kernel in it" >&2; exit 3; }
echo "$release"
