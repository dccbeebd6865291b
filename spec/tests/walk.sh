#!/usr/bin/env bash
# Follows the section "From a new sentence to a verdict on XFS" of CONTRIBUTING.md to the letter, in a copy of this tree:
# edits are applied, commands are run. The kernel must give a verdict on the new clause.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Never a target directory that another tree uses: cargo takes the crates of two copies of a workspace for the same.
export CARGO_TARGET_DIR="$work/target"
git ls-files -z --cached --others --exclude-standard | tar -cf - --null --files-from=- | tar -xf - -C "$work"

# The blocks of the section, each in a file of its own: 1.diff, 2.diff, ..., N.sh. They are indented by three.
mkdir "$work/steps"
awk -v to="$work/steps" '
    /^## / { inside = ($0 == "## From a new sentence to a verdict on XFS") }
    !inside { next }
    /^ *```[a-z]+$/ { sub(/^ *```/, ""); file = sprintf("%s/%d.%s", to, ++number, $0); next }
    /^ *```$/ { file = ""; next }
    file { sub(/^   /, ""); print > file }
' CONTRIBUTING.md
[ "$(find "$work/steps" -type f | wc -l)" -ge 4 ] || { echo "CONTRIBUTING.md has no such walk"; exit 1; }

cd "$work"
started=$SECONDS
for step in $(find steps -type f | sort -V); do
    case $step in
        *.diff)
            git apply --recount "$step"
            echo "applied: $(grep '^+++' "$step")"
            ;;
        *.sh)
            while IFS= read -r line; do
                echo "\$ $line"
                bash -euo pipefail -c "$line" </dev/null 2>&1 | tee output
            done <"$step" ;;
    esac
done
# The last command was the one on XFS.
grep -q ' 1 case: 1 holds,' output && grep -q '^conforms' output || { echo "no verdict on XFS"; exit 1; }
echo "walked in $((SECONDS - started)) seconds"
