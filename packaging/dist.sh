#!/bin/bash
# Makes the archives of a release: the source of HEAD, and the installed files. dist.sh OUT. The same commit gives the
# same bytes, with any target directory: `dist.sh --check` builds twice and compares.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:?usage: $0 OUT | --check}" = --check ]; then
    built=$(mktemp -d)
    trap 'rm -rf "$built"' EXIT
    for number in 1 2; do
        CARGO_TARGET_DIR=$built/target-$number "$0" "$built/$number"
        rm -rf "$built/target-$number"
    done
    cmp_all() { (cd "$1" && sha256sum ./*); }
    if [ "$(cmp_all "$built/1")" != "$(cmp_all "$built/2")" ]; then
        echo "the archives differ:" >&2
        diff <(cmp_all "$built/1") <(cmp_all "$built/2") >&2 || exit 1
    fi
    cmp_all "$built/1"
    exit
fi

out=$1
name=iomap-immutable-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
built=${CARGO_TARGET_DIR:-target}
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
mkdir -p "$out"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

git archive --format=tar --prefix="$name/" HEAD | gzip -n9 >"$out/$name.tar.gz"
# Panics name files of the source and of the registry: their directories must not be in the binaries.
RUSTFLAGS="${RUSTFLAGS-} --remap-path-prefix=$PWD=. --remap-path-prefix=$(realpath -m "$built")=target \
--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" make tools
packaging/install.sh "$built/tool" /usr/local "$stage"
strip "$stage"/usr/local/bin/*
tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu -C "$stage" -c usr |
    gzip -n9 >"$out/$name-$(uname -m).tar.gz"
