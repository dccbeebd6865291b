#!/bin/bash
# Builds one static binary of the suite, target/static/iomap-conformance: with musl where the compiler has that target,
# else with the static library of glibc. `static.sh --check` also shows that it needs nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

most=$((8 << 20)) # bytes
built=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')
target=$host
if [ -d "$(rustc --print sysroot)/lib/rustlib/${host%-gnu}-musl/lib" ]; then target=${host%-gnu}-musl; fi
RUSTFLAGS="${RUSTFLAGS-} -C target-feature=+crt-static" \
    cargo build --locked --profile tool --target "$target" -p iomap-conformance
install -D "$built/$target/tool/iomap-conformance" "$built/static/iomap-conformance"
strip "$built/static/iomap-conformance"
program=$(realpath "$built/static/iomap-conformance")
size=$(stat -c %s "$program")
echo "$program: $target, $size bytes"
if [ "${1-}" != --check ]; then exit; fi

fail() { echo "$*" >&2; exit 1; }
[ "$size" -lt "$most" ] || fail "it has $most bytes or more"
if readelf -l "$program" | grep -q INTERP; then fail "it needs a dynamic linker"; fi
# A static glibc would load libraries of the machine to find users and hosts.
if grep -aqE 'libnss_|getaddrinfo' "$program"; then fail "it uses the name service"; fi
if [ "$(id -u)" = 0 ]; then
    empty=$(mktemp -d)
    trap 'rm -rf "$empty"' EXIT
    cp "$program" "$empty"
    chroot "$empty" /iomap-conformance | tail -n 1 | grep conforms || fail "it does not run in an empty directory"
fi
# In a guest it is the only program beside mkfs, and the first process.
"$program" lab --kernel 6.12 --fs ext4 --case truncate --format json --output "$built/static/lab.json"
grep -q '"verdict": "holds"' "$built/static/lab.json" || fail "the lab has no verdicts"
