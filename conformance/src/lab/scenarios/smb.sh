# A server shares XFS by SMB, and the kernel's client in the same guest keeps files open.

# The messages of the client to the server. OplockBreak is its answer when the server revokes an oplock or a lease.
counters() {
    sed -n '/) .*\\share/,$ s/^\(Reads\|Writes\|SetInfos\|OplockBreaks\): \([0-9]*\) .*/\1 \2/p' /proc/fs/cifs/Stats
}

mkdir -p /export /client /etc
ip link set lo up
mkfs.xfs -q -f -d file,name=/tmp/disk,size=400m
mount -o loop /tmp/disk /export
echo root:x:0:0::/:/bin/bash >/etc/passwd

# mounted STEP ADDRESS OPTIONS: mounts the share; if that fails, the first message of the client is the reason.
mounted() {
    try "$1" mount -i -t cifs //$2/share /client \
        -o "ip=$2,unc=\\\\$2\\share,username=root,password=secret,vers=3.1.1,actimeo=0,$3"
    grep -q ' /client cifs ' /proc/mounts || { dmesg | sed -n '/CIFS: VFS/ { s/^[^]]*] //p; q }' && exit 1; }
}

# after EVENT COMMAND...: shows the effect of an event at the server on a client that has the file open. The second
# opening by the client may end the oplock or lease that the event has left.
after() {
    local event=$1 file=/export/file client=/client/file
    shift
    wanted "$event" || return 0
    fresh $file
    exec 7<>$client
    try "client reads it" read_by_7
    try "server: $event" "$@" $file
    tell "  size at the server, at the client" "$(stat -c %s $file), $(stat -c %s $client)"
    try "client reads it after that" read_from $client
    try "client writes after that" put_into $client C
    tell "  the server has it" "$(yes has C $file)"
    try "client writes by a descriptor from before" put_by_7 D 0
    tell "  the server has it" "$(yes has D $file)"
    try "client cuts the file to 1 MiB" truncate -s 1M $client
    try "client makes it larger" truncate -s 8M $client
    tell "  size at the server" "$(stat -c %s $file)"
    try "client renames it" mv $client $client.new
    try "client removes it" rm "$([ -e $file ] && echo $client || echo $client.new)"
    tell "  the server has the name" "$(yes test -e $file -o -e $file.new)"
    exec 7>&-
    tell "  and after the client has closed it" "$(yes test -e $file -o -e $file.new)"
    swapoff $file 2>/dev/null || swapoff $file.new 2>/dev/null || true
    xfs_io -r -c 'chattr -i' $file 2>/dev/null || true
    rm -f $file $file.new
}

events() {
    after "nothing" true
    after "truncate(2) to 3 MiB" cut
    after "chattr +i" immutable
    after "swapon(2)" swapon
}
