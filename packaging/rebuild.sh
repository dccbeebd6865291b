#!/bin/bash
# Whether a command of HEAD is the same to the byte if it is built in another directory: rebuild.sh CRATE. Each build
# begins with an empty target directory.
set -euo pipefail
crate=${1:?usage: $0 CRATE}
cd "$(dirname "$0")/.."
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
for place in first another/place; do
    mkdir -p "$made/$place"
    git archive HEAD | tar -xC "$made/$place"
    (cd "$made/$place" && CARGO_TARGET_DIR=target cargo build --quiet --locked --profile tool -p "$crate")
    strip "$made/$place/target/tool/$crate"
done
cmp "$made/first/target/tool/$crate" "$made/another/place/target/tool/$crate"
(cd "$made/first/target/tool" && sha256sum "$crate")
