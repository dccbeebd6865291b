#!/bin/bash
# Installs the suite into kselftest, with a test for each file system and mechanism: install.sh IOMAP-CONFORMANCE DIR.
# DIR is tools/testing/selftests of a kernel's source, or the result of `make kselftest-install`.
set -euo pipefail

suite=$(realpath "${1:?usage: $0 IOMAP-CONFORMANCE DIR}")
tree=${2:?usage: $0 IOMAP-CONFORMANCE DIR}
here=$(dirname "$(realpath "$0")")
tests=$tree/iomap

rm -f "$tests"/*-*.sh
install -D -m 755 "$suite" "$tests/iomap-conformance"
install -m 755 "$here/run.sh" "$tests"
install -m 644 "$here/Makefile" "$here/settings" "$tests"
"$suite" matrix --list | while read -r fs mechanism; do
    ln -s run.sh "$tests/$fs-$mechanism.sh"
done

list=$tree/kselftest-list.txt
if [ -e "$list" ]; then
    sed -i '/^iomap:/d' "$list"
    (cd "$tests" && printf 'iomap:%s\n' ./*-*.sh | sed 's,\./,,') >> "$list"
fi
