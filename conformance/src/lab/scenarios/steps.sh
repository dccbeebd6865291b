# What every scenario begins with. Each line of standard output is a step, what came of it, and what else was seen,
# between tabs; standard error is the console. A step that cannot be prepared ends the scenario: its command is the last.
set -eu
exec 3>&1 1>&2
# The kernel that kills one of its own threads hangs a server, and says why when it panics instead.
echo 1 >/proc/sys/kernel/panic_on_oops

# tell STEP OUTCOME
tell() {
    note=
    look
    printf '%s\t%s\t%s\n' "$1" "$2" "$note" >&3
}

# What there is to count, as a name and a number on a line each: what a step adds is beside it.
counters() { :; }

# What has been counted since the step before goes into the variable `note`.
look() {
    local name number before
    while read -r name number && [ "$name" ]; do
        before=${count[$name]:-0}
        [ "$number" = "$before" ] || note="$note${note:+, }$name $((number - before))"
        count[$name]=$number
    done <<<"$(counters)"
}
declare -A count

# try STEP COMMAND...: ok, or what the command said first, without what comes before the last colon.
try() {
    local step=$1 said
    shift
    # The errors of a redirection too.
    if said=$({ "$@"; } 2>&1); then tell "$step" ok; else said=${said%%$'\n'*} && tell "$step" "${said##*: }"; fi
}

# wanted EVENT: whether it is among those that were asked for.
wanted() { [[ $1 == *"$FILTER"* ]]; }

# yes COMMAND...
yes() { if "$@"; then echo yes; else echo no; fi; }

# patiently COMMAND...: until it succeeds, for 10 s. Whoever has a delegation or a lease is asked for it meanwhile.
patiently() {
    local end=$((SECONDS + 10))
    until "$@"; do [ $SECONDS -lt $end ] || return 1; done
}

# fresh FILE: 4 MiB, all written, with the header of a swap file.
fresh() {
    (umask 077 && dd if=/dev/zero of="$1" bs=1M count=4 conv=fsync status=none)
    mkswap "$1" >/dev/null
    sync
}

# letters LETTER: 64 KiB.
letters() { printf %65536s | tr ' ' "$1"; }

# read_from FILE: its first MiB.
read_from() { dd if="$1" of=/dev/null bs=1M count=1 status=none; }

# read_by_7: the same through descriptor 7, which a scenario opened before.
read_by_7() { dd of=/dev/null bs=1M count=1 status=none <&7; }

# put LETTER [SEEK]: 64 KiB at 1 MiB of standard output, from the client's memory to wherever it goes.
put() { letters "$1" | dd bs=64k seek="${2:-16}" count=1 iflag=fullblock conv=notrunc,fsync status=none; }

# put_into FILE LETTER
put_into() { put "$2" 1<>"$1"; }

# has LETTER FILE [PLACE]: whether it is there, read with O_DIRECT. The place is in units of 4 KiB.
has() {
    letters "$1" >/tmp/letters
    dd if="$2" iflag=direct bs=4k skip="${3:-256}" count=16 status=none | cmp -s - /tmp/letters
}

# put_by_7 LETTER [SEEK]: there through descriptor 7, from where it is.
put_by_7() { put "$@" >&7; }

# What happens to a file. truncate(1) would not wait for anybody.
cut() { xfs_io -c 'truncate 3m' "$1"; }
immutable() { xfs_io -r -c 'chattr +i' "$1"; }
