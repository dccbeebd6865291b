#!/bin/sh
# {head}
#
# Works in a new directory below the given one, and removes it at the end, even after a signal. Exits with 0 if all
# results are as observed, with 1 if a result differs, with 77 if a required condition is missing, and with 2 if it
# cannot work. The observation:
{observed}
place=$(mktemp -d "$1/again.XXXXXX") || { echo "usage: $0 DIRECTORY, one that can be written to" >&2; exit 2; }
clean() {
	cd /
	chattr -f -R -a -i "$place"
	rm -rf "$place"
}
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
export LC_ALL=C PATH="$PATH:/sbin:/usr/sbin"
cd "$place" || exit 2
need() {
	"$@" >/dev/null 2>&1 && return
	echo "it cannot be shown here: it needs $what"
	exit 77
}
what="the program xfs_io" need command -v xfs_io
what="root, for attributes of files" need [ "$(id -u)" = 0 ]
[ -z "{fs}" ] || what="a directory on {fs}" need [ "$(stat -f -c %T .)" = "{type}" ]
if [ {shares} = yes ]; then
	what="a file system whose files can share storage (mkfs.xfs -m reflink=1)"
	echo >one
	sync one
	need cp --reflink=always one other
	rm -f one other
fi

cat >expected <<'EOF'
{errors}{seen}EOF
# Before Linux 6.13, changes within the same tick have the same time.
if grep -q "other" expected; then
	what="Linux 6.13, for the times of files" need sh -c '
		version=$(uname -r | sed "s/[^0-9.].*//")
		[ "$(printf "6.13\n%s\n" "$version" | sort -V | head -n 1)" = 6.13 ]'
fi

xfs_io >said 2>errors <<'EOF'
{commands}EOF
{
	sed 's/.*: //' errors
	awk -F' *[=:] *' '
		/^stat.ino/ { ino = $2 }
		/^stat.size/ { size = $2 }
		/^stat.ctime.tv_/ { changed = changed "." $2 }
		/^stat.mtime.tv_/ { modified = modified "." $2 }
		/^stat.rdev_major/ {
			print "size " size (modified == before[ino] ? "" : ", other modification time") \
				(changed == was[ino] ? "" : ", other status change time")
			before[ino] = modified
			was[ino] = changed
			modified = changed = ""
		}' said
} >found
cat found
if cmp -s expected found; then
	echo "shown: as it was observed"
	exit 0
fi
echo "not shown: something else than what was observed, which is" && cat expected
exit 1
