#!/usr/bin/env bash
# From a clone to the first verdict: builds and runs the suite in an empty target directory, and prints the time, the
# processor time, and the five units of the build that cost most processor time. Then the same of pjdfstest, where the
# registry is reachable, and the ratio of the two. Registries are read before the clock starts.
set -euo pipefail
# As RUSTC_WRAPPER: the compiler, and then a line with the processor time in ms and the name of the crate.
if [ -n "${FRESH_UNITS:-}" ] && [ $# -gt 0 ]; then
    name=rustc previous=
    for argument in "$@"; do
        [ "$previous" = --crate-name ] && name=$argument
        previous=$argument
    done
    code=0
    "$@" || code=$?
    # In a pipe, times would report the children of its own subshell.
    times >"$FRESH_UNITS.$$"
    tail -n 1 "$FRESH_UNITS.$$" | awk -v name="$name" '{
        split($1, own, "[ms]"); split($2, kernel, "[ms]")
        printf "%d %s\n", 1000 * (60 * (own[1] + kernel[1]) + own[2] + kernel[2]), name
    }' >>"$FRESH_UNITS"
    rm -f "$FRESH_UNITS.$$"
    exit "$code"
fi

cd "$(dirname "$0")/../.."
place=$PWD/target/fresh
rm -rf "$place"
mkdir -p "$place"
trap 'rm -rf "$place"' EXIT

# build NAME COMMAND...: runs the command, and leaves seconds and seconds of processor time in the file NAME.
build() {
    local name=$1 begin
    shift
    begin=$(date +%s.%N)
    FRESH_UNITS=$place/$name.units RUSTC_WRAPPER=$PWD/conformance/benches/fresh.sh CARGO_INCREMENTAL=0 "$@"
    awk -v begin="$begin" -v end="$(date +%s.%N)" '{ sum += $1 } END { printf "%.1f %.1f\n", end - begin, sum / 1000 }' \
        "$place/$name.units" >"$place/$name.sum"
}

cargo fetch --locked
CARGO_TARGET_DIR=$place/suite build suite cargo run --release --locked
read -r seconds processor <"$place/suite.sum"
echo
echo "the suite: $seconds s to the first verdict, $processor s of processor time for the build, most of it in"
sort -rn "$place/suite.units" | head -n 5 | awk '{ printf "    %5.1f s  %s\n", $1 / 1000, $2 }'

if ! cargo info pjdfstest >/dev/null 2>&1; then
    echo "no ratio: the registry is not reachable"
    exit
fi
# Its sources are fetched before the clock starts, as those of the suite are.
fetch=$place/pjdfstest-sources
mkdir -p "$fetch/src" && : >"$fetch/src/lib.rs"
printf '[package]\nname = "sources"\n[dependencies]\npjdfstest = "*"\n[workspace]\n' >"$fetch/Cargo.toml"
cargo fetch --manifest-path "$fetch/Cargo.toml" >/dev/null 2>&1 || true
first_run() {
    cargo install --locked pjdfstest --root "$place/pjdfstest-root" &&
        "$place/pjdfstest-root/bin/pjdfstest" --list-features
}
CARGO_TARGET_DIR=$place/pjdfstest-target build pjdfstest first_run
read -r other other_processor <"$place/pjdfstest.sum"
echo
awk -v a="$seconds" -v b="$other" -v c="$processor" -v d="$other_processor" 'BEGIN {
    printf "pjdfstest: %s s to its first list, %s s of processor time\n", b, d
    printf "the suite takes %.2f of its time, %.2f of its processor time\n", a / b, c / d
}'
