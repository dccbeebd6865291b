#!/bin/bash
# Makes the packages for Debian in target/packages: packages.sh [--check] BINARIES. --check also checks them with
# lintian, installs them in a fresh Debian, uses them as a person would, and removes them.
set -euo pipefail

check=
if [ "${1-}" = --check ]; then check=1; shift; fi
binaries=$(realpath "${1:?usage: $0 [--check] BINARIES}")
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-target}/packages
# The table of files in each Cargo.toml names this directory.
stage=target/package
rm -rf "$stage" "$out"
mkdir -p "$out"
packaging/install.sh "$binaries" /usr "$stage"
for command in "$stage"/usr/bin/*; do strip --strip-unneeded "$command"; done
for crate in iomap-conformance iomap-file iomap-spec; do
    cargo deb --quiet --no-build --no-strip --package "$crate" --output "$out"
done
rm -rf "$stage"
ls -l "$out"
if [ ! "$check" ]; then exit; fi

lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs "$out"/*.deb

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
# The programs of a package run as other users too.
chmod 755 "$root"
debootstrap --variant=minbase --include=man-db,bash-completion "${DEBIAN:-bookworm}" "$root" >"$out/debootstrap.log"
mkdir "$root/packages"
cp "$out"/*.deb "$root/packages"
in_root() { LC_ALL=C DEBIAN_FRONTEND=noninteractive HOME=/root chroot "$root" bash -euxo pipefail -c "$1"; }
in_root 'find / -xdev -type f | grep -v "^/var\|^/packages" | sort >/before'
in_root 'apt-get install -qq --no-install-recommends /packages/*.deb >/dev/null'
in_root '
    man iomap_immutable | grep "iomap_immutable(7)" >/dev/null
    man FALLOC_FL_UNSEAL_BLOCK_MAP | grep FALLOC_FL_SEAL_BLOCK_MAP >/dev/null
    mandb --quiet
    apropos immutable | grep "^iomap_immutable (7)"
    iomap-conformance truncate | grep "^conforms"
    iomap-spec cite --one-line truncate.shrink
    iomap-file status /etc/passwd || test $? = 1
    iomap-reference rules truncate.shrink
    set +eux # as in a shell of a person
    source /usr/share/bash-completion/bash_completion
    _completion_loader iomap-conformance
    COMP_WORDS=(iomap-conformance matr) COMP_CWORD=1
    "$(complete -p iomap-conformance | sed "s/.* -F \([^ ]*\).*/\1/")" iomap-conformance matr iomap-conformance
    set -x
    test "${COMPREPLY[*]}" = matrix &&
        test -e /usr/share/doc/iomap-immutable/book/index.html -a -e /usr/include/iomap_immutable.h'
in_root 'dpkg --purge iomap-conformance iomap-immutable-tools iomap-immutable-doc >/dev/null'
left=$(in_root 'find / -xdev -type f | grep -v "^/var\|^/packages\|^/before" | sort | comm -13 /before -')
if [ "$left" ]; then
    echo "removed packages leave files: $left" >&2
    exit 1
fi
echo "the packages are clean"
