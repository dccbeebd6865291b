#!/usr/bin/env bash
# Whether the review window of b4 shows what `iomap-spec review --format b4` prints: check.sh IOMAP_SPEC PYTHON, where
# PYTHON has b4 from PyPI. A series of three mails, made by git from a tree, is given to b4's own functions: the ones that
# read the configuration, run the commands, keep the results and draw the window.
set -euo pipefail
command=$(realpath "$1")
python=$(realpath --no-symlinks "$2")
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" XDG_DATA_HOME="$work/data" XDG_CACHE_HOME="$work/cache" XDG_CONFIG_HOME="$work/config"
export GIT_CONFIG_GLOBAL="$work/gitconfig" GIT_CONFIG_SYSTEM=/dev/null IOMAP_SPEC_URL=https://example.org/book/
mkdir -p "$HOME" "$work/bin" "$work/tree/fs" "$work/tree/scripts" "$work/tree/Documentation"
ln -s "$command" "$work/bin/iomap-spec"
export PATH="$work/bin:$PATH"

cd "$work/tree"
git init -q -b master
git config --global user.name 'A Developer'
git config --global user.email developer@example.org
printf 'int vfs_fallocate(struct file *file, int mode, loff_t offset, loff_t len)\n{\n\tstruct inode *inode = file_inode(file);\n\n\tif (offset < 0 || len <= 0)\n\t\treturn -EINVAL;\n\n\treturn 0;\n}\n' >fs/open.c
printf 'Text.\n' >Documentation/page.rst
printf '#!/bin/sh\nexit 0\n' >scripts/checkpatch.pl
chmod +x scripts/checkpatch.pl
git add . && git commit -q -m base
sed -i 's/^\treturn 0;/\tif (IS_SWAPFILE(inode))\n\t\treturn -ETXTBSY;\n\n&/' fs/open.c
git commit -q -a -m 'fs: refuse fallocate of swap files'
printf 'More text.\n' >>Documentation/page.rst
git commit -q -a -m 'docs: say so'
git mv fs/open.c fs/opened.c
git commit -q -m 'fs: another name'
git format-patch -q --thread --cover-letter --subject-prefix=PATCH -o "$work/series" HEAD~3

cp "$here/../../b4-config" .b4-config
git config include.path ../.b4-config
"$python" "$here/window.py" "$work"/series/*.patch
