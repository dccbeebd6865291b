# The beginning of every scenario. Each line of standard output is a step, its outcome, and further observations,
# separated by tabs; standard error is the console. A step that cannot be prepared ends the scenario: its command is the
# last one.
set -eu
exec 3>&1 1>&2
# A kernel that kills one of its own threads would hang a server; with a panic it prints the reason instead.
echo 1 >/proc/sys/kernel/panic_on_oops

# tell STEP OUTCOME
tell() {
    note=
    look
    printf '%s\t%s\t%s\n' "$1" "$2" "$note" >&3
}

# Prints the counters, a name and a number on each line. Each step shows by how much it changes them.
counters() { :; }

# Writes the changes of the counters since the last step into the variable `note`.
look() {
    local name number before
    while read -r name number && [ "$name" ]; do
        before=${count[$name]:-0}
        [ "$number" = "$before" ] || note="$note${note:+, }$name $((number - before))"
        count[$name]=$number
    done <<<"$(counters)"
}
declare -A count

# try STEP COMMAND...: `ok`, or the first message of the command, from its last colon on.
try() {
    local step=$1 said
    shift
    # Include errors of redirections.
    if said=$({ "$@"; } 2>&1); then tell "$step" ok; else said=${said%%$'\n'*} && tell "$step" "${said##*: }"; fi
}

# wanted EVENT: whether the user asked for this event.
wanted() { [[ $1 == *"$FILTER"* ]]; }

# yes COMMAND...
yes() { if "$@"; then echo yes; else echo no; fi; }

# patiently COMMAND...: repeats it for 10 s until it succeeds. Meanwhile the server asks for delegations and leases
# back.
patiently() {
    local end=$((SECONDS + 10))
    until "$@"; do [ $SECONDS -lt $end ] || return 1; done
}

# fresh FILE: makes a file of 4 MiB, all written, with the header of a swap file.
fresh() {
    (umask 077 && dd if=/dev/zero of="$1" bs=1M count=4 conv=fsync status=none)
    mkswap "$1" >/dev/null
    sync
}

# letters LETTER: prints 64 KiB.
letters() { printf %65536s | tr ' ' "$1"; }

# read_from FILE: reads its first MiB.
read_from() { dd if="$1" of=/dev/null bs=1M count=1 status=none; }

# read_by_7: the same through descriptor 7, which a scenario has opened before.
read_by_7() { dd of=/dev/null bs=1M count=1 status=none <&7; }

# put LETTER [SEEK]: writes 64 KiB at 1 MiB of standard output, from the client's memory to its destination.
put() { letters "$1" | dd bs=64k seek="${2:-16}" count=1 iflag=fullblock conv=notrunc,fsync status=none; }

# put_into FILE LETTER
put_into() { put "$2" 1<>"$1"; }

# has LETTER FILE [PLACE]: whether the letters are there, read with O_DIRECT. The place is in units of 4 KiB.
has() {
    letters "$1" >/tmp/letters
    dd if="$2" iflag=direct bs=4k skip="${3:-256}" count=16 status=none | cmp -s - /tmp/letters
}

# put_by_7 LETTER [SEEK]: like put, through descriptor 7, relative to its offset.
put_by_7() { put "$@" >&7; }

# The events of a file. truncate(1) would not wait.
cut() { xfs_io -c 'truncate 3m' "$1"; }
immutable() { xfs_io -r -c 'chattr +i' "$1"; }
