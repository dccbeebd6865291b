#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Installs the suite into a checkout of the CI of the VFS maintainers, linux-fsdevel/vfs-test, as the suite `iomap` beside
# selftests, xfstests and ovl-fstests: install.sh IOMAP-CONFORMANCE DIR. The program has to be static. Like xfstests it
# gets the image with the mkfs programs.
set -euo pipefail

suite=$(realpath "${1:?usage: $0 IOMAP-CONFORMANCE DIR}")
tree=${2:?usage: $0 IOMAP-CONFORMANCE DIR}
here=$(dirname "$(realpath "$0")")
image=$tree/ci/mkosi/mkosi.extra/usr/lib
matrix=$tree/.github/scripts/matrix.py
workflow=$tree/.github/workflows/ci/kernel-build-test.yml

# Adds a line after the one that matches, with its indentation, unless the line is there.
add() {
    local file=$1 after=$2 line=$3
    grep -qF "$line" "$file" && return
    sed -i "s|^\( *\)$after.*|&\n\1$line|" "$file"
    grep -qF "$line" "$file" || { echo "$file: no line begins with $after" >&2; exit 1; }
}

install -D -m 755 "$suite" "$image/vfs-ci/iomap-conformance"
install -m 755 "$here/run-iomap.sh" "$image/vfs-ci"
install -D -m 644 "$here/iomap.service" "$image/systemd/system/iomap.service"
add "$matrix" '{"test_suite": "selftests"' '{"test_suite": "iomap", "timeout_minutes": 120},'
add "$workflow" 'selftests) ' 'iomap)       unit=iomap.service ;;'
