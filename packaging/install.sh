#!/bin/bash
# Installs commands, manual pages, completions, the header and the book, or removes them again:
# install.sh [--uninstall] BINARIES PREFIX DESTDIR. BINARIES is the directory with the commands that cargo built.
# The list of the installed files is installed too, and --uninstall removes the files in this list.
set -euo pipefail

usage="usage: $0 [--uninstall] BINARIES PREFIX DESTDIR"
commands=(iomap-conformance iomap-file iomap-reference iomap-spec)
uninstall=
if [ "${1:-}" = --uninstall ]; then uninstall=1; shift; fi
binaries=${1:?$usage} prefix=${2:?$usage} destdir=${3-}
top=$(dirname "$(dirname "$(realpath "$0")")")
case $prefix in
/*) ;;
*) echo "$0: PREFIX has to begin with /: $prefix" >&2; exit 2 ;;
esac
root=$destdir${prefix%/}
docs=share/doc/iomap-immutable
list=$docs/files

if [ "$uninstall" ]; then
    if [ ! -f "$root/$list" ]; then
        echo "$0: nothing is installed in $root: there is no $root/$list" >&2
        exit 1
    fi
    mapfile -t files <"$root/$list"
    (cd "$root" && rm -f -- "${files[@]}" "$list")
    # Directories of others, or with files of others, stay.
    (cd "$root" && printf '%s\n' "${files[@]}" | while IFS= read -r file; do
        while file=$(dirname "$file") && [ "$file" != . ]; do echo "$file"; done
    done | sort -ru | xargs -d '\n' rmdir --ignore-fail-on-non-empty 2>/dev/null || true)
    exit
fi

# Everything is made in a directory beside, so that a failure installs nothing.
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
spec=$binaries/iomap-spec
for command in "${commands[@]}"; do
    install -D -m 755 "$binaries/$command" "$stage/bin/$command"
    mkdir -p "$stage"/share/{bash-completion/completions,fish/vendor_completions.d,zsh/site-functions}
    "$binaries/$command" completions bash >"$stage/share/bash-completion/completions/$command"
    "$binaries/$command" completions fish >"$stage/share/fish/vendor_completions.d/$command.fish"
    "$binaries/$command" completions zsh >"$stage/share/zsh/site-functions/_$command"
done
"$spec" --pages "$top/man" man --out "$stage/share/man" --sections 2>"$stage/messages" || { cat "$stage/messages"; exit 1; }
"$spec" --pages "$top/man" book --out "$stage/$docs/book" 2>"$stage/messages" || { cat "$stage/messages"; exit 1; }
rm "$stage/messages"
install -m 644 "$top"/{CHANGELOG.md,README.md,LICENSE-APACHE,LICENSE-MIT} "$stage/$docs"
install -m 644 "$top/man/LICENSE" "$stage/$docs/LICENSE-pages"
install -D -m 644 "$top/include/iomap_immutable.h" "$stage/include/iomap_immutable.h"
version=$(sed -n 's/^version: //p' "$top/man/iomap_immutable.7.md")
mkdir "$stage/share/pkgconfig"
sed "s,@PREFIX@,${prefix%/},; s,@VERSION@,$version," "$top/packaging/iomap-immutable.pc.in" \
    >"$stage/share/pkgconfig/iomap-immutable.pc"
files=$(cd "$stage" && find . -type f -printf '%P\n' | LC_ALL=C sort)
printf '%s\n' "$files" >"$stage/$list"
chmod -R u=rwX,go=rX "$stage"
mkdir -p "$root"
cp -R --no-preserve=ownership "$stage/." "$root"
# A package has its own way to make the index of whatis(1) and apropos(1).
if [ -z "$destdir" ] && command -v mandb >/dev/null; then mandb --quiet "$root/share/man" || true; fi
