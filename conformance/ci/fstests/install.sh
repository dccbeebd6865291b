#!/bin/bash
# Installs the suite into a tree of fstests, with a test for each family of clauses: install.sh IOMAP-CONFORMANCE
# FSTESTS. In a built tree, `./check -g iomap` runs all of them.
set -euo pipefail

suite=$(realpath "${1:?usage: $0 IOMAP-CONFORMANCE FSTESTS}")
tree=${2:?usage: $0 IOMAP-CONFORMANCE FSTESTS}
here=$(dirname "$(realpath "$0")")
tests=$tree/tests/generic

install -D -m 755 "$suite" "$tree/src/iomap-conformance"
install -D -m 644 "$here/iomap" "$tree/common/iomap"
mkdir -p "$tests"
rm -f "$tests"/9[0-9][0-9]-iomap-*

# `check` looks for groups only in generic and in the directory of the file system. The numbers of tests are unique
# there.
number=900
families=$("$suite" --list | awk -F :: '!seen[$1]++ { print $1 }')
for family in $families; do
    name=$number-iomap-$family
    sed -e "s/@NAME@/$name/; s/@FAMILY@/$family/" "$here/test.in" > "$tests/$name"
    chmod 755 "$tests/$name"
    printf '%s\n' "QA output created by $name" "Silence is golden" > "$tests/$name.out"
    number=$((number + 1))
done

# If this is a tree of fstests, and not the directory of a package: a group must be documented before it is listed.
if [ -x "$tree/check" ]; then
    groups=$tree/doc/group-names.txt
    grep -q '^iomap[[:space:]]' "$groups" ||
        sed -i $'/^ioctl[[:space:]]/a iomap\t\t\timmutable iomap files, iomap_immutable(7)' "$groups"
    (cd "$tests" && ../../tools/mkgroupfile group.list)
fi
