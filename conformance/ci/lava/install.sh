#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Installs the test into a checkout of Linaro's test-definitions, from which LAVA runs it: install.sh DIR. The program
# has to be on the device; one static file of it is enough.
set -euo pipefail

tree=${1:?usage: $0 DIR}
here=$(dirname "$(realpath "$0")")
if [ ! -e "$tree/automated/utils/send-to-lava.sh" ]; then
    echo "$tree: no checkout of test-definitions: it has no automated/utils/send-to-lava.sh" >&2
    exit 2
fi
install -D -m 755 "$here/iomap.sh" "$tree/automated/linux/iomap/iomap.sh"
install -m 644 "$here/iomap.yaml" "$tree/automated/linux/iomap/iomap.yaml"
