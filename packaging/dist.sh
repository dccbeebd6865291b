#!/bin/bash
# Makes the archives of a release: the source of HEAD, and the files that are installed with these commands:
# dist.sh [--check] BINARIES OUT. The same commit and commands give the same bytes; --check makes all twice and compares.
set -euo pipefail

if [ "${1-}" = --check ]; then
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    # Another directory, umask, time zone and language must not change a byte.
    "$0" "$2" "$made/first"
    (umask 077; TZ=Asia/Tokyo LC_ALL=C TMPDIR=$made "$0" "$2" "$made/second")
    sums() { (cd "$1" && sha256sum ./*); }
    diff <(sums "$made/first") <(sums "$made/second")
    mkdir -p "$3"
    cp "$made/first"/* "$3"
    sums "$3"
    exit
fi

binaries=$(realpath "${1:?usage: $0 [--check] BINARIES OUT}")
out=$(realpath -m "${2:?usage: $0 [--check] BINARIES OUT}")
cd "$(dirname "$0")/.."
name=iomap-immutable-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

git -c tar.umask=022 archive --format=tar --prefix="$name/" HEAD | gzip -n9 >"$out/$name.tar.gz"
packaging/install.sh "$binaries" /usr/local "$stage"
strip "$stage"/usr/local/bin/*
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=gnu \
    -C "$stage" -c usr | gzip -n9 >"$out/$name-$(uname -m).tar.gz"
