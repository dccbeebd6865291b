# The kernel's SMB server, ksmbd, shares XFS, and a client in the same guest has files of it open with leases.

# What the client sent to the server. An OplockBreak is its answer when the server takes a lease from it.
counters() {
    sed -n '/) .*\\share/,$ s/^\(Reads\|Writes\|SetInfos\|OplockBreaks\): \([0-9]*\) .*/\1 \2/p' /proc/fs/cifs/Stats
}

mkdir -p /etc/ksmbd /export /client
ip link set lo up
mkfs.xfs -q -f -d file,name=/tmp/disk,size=400m
mount -o loop /tmp/disk /export
printf '[global]\nnetbios name = GUEST\n[share]\npath = /export\nread only = no\noplocks = yes\n' >/etc/ksmbd/ksmbd.conf
cp /etc/ksmbd/ksmbd.conf /etc/ksmbd/smb.conf
echo root:x:0:0::/:/bin/bash >/etc/passwd
ksmbd.adduser -a root -p secret
ksmbd.mountd 3>/dev/null
patiently grep -q running /sys/class/ksmbd-control/stats
tell "ksmbd-tools" "$(ksmbd.mountd -V 2>&1 | sed -n '1 s/.*[: ]//p')"

# mounted STEP ADDRESS OPTIONS: if it cannot be, what the client says first is why.
mounted() {
    try "$1" mount -i -t cifs //$2/share /client \
        -o "ip=$2,unc=\\\\$2\\share,username=root,password=secret,vers=3.1.1,actimeo=0,$3"
    grep -q ' /client cifs ' /proc/mounts || { dmesg | sed -n '/CIFS: VFS/ { s/^[^]]*] //p; q }' && exit 1; }
}

# A share that is not there, BAD_NETWORK_NAME: Linux 6.1.192 takes no answer about shares from ksmbd-tools before 3.5.2,
# which do not say how long it is. With later ones it dies when the client opens something, as 6.1.170 does with both.
mounted "client mounts the share" 127.0.0.1 soft
tell "  dialect" "$(sed -n 's/.*Dialect \(0x[0-9a-f]*\).*/\1/p' /proc/fs/cifs/DebugData | head -n 1)"

# after EVENT COMMAND...: what an event at the server is to a client that has the file open.
after() {
    local event=$1 file=/export/file client=/client/file
    shift
    wanted "$event" || return 0
    fresh $file
    exec 7<>$client
    try "client writes" put_into $client A
    try "client reads it" read_from $client
    try "client reads it again" read_from $client
    try "server: $event" "$@" $file
    tell "  size at the server, at the client" "$(stat -c %s $file), $(stat -c %s $client)"
    try "client writes after that" put_into $client C
    tell "  the server has it" "$(yes has C $file)"
    try "client writes by a descriptor from before" put_by_7 D
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

cut() { truncate -s 3M "$1"; }
immutable() { xfs_io -r -c 'chattr +i' "$1"; }

events() {
    after "nothing" true
    after "truncate(2) to 3 MiB" cut
    after "chattr +i" immutable
    after "swapon(2)" swapon
}

events
umount /client
count=()

# By RDMA too, where both sides have it (CONFIG_SMB_SERVER_SMBDIRECT, CONFIG_CIFS_SMB_DIRECT) and there is an adapter.
server=$(yes grep -q '\ssmb_direct_.*\[ksmbd\]' /proc/kallsyms)
client=$(yes grep -q '^Features:.*SMB_DIRECT' /proc/fs/cifs/DebugData)
tell "SMB Direct is built into the server" "$server"
tell "  and into the client" "$client"
if [ $server$client = yesyes ]; then
    mounted "client mounts the share by SMB Direct" 10.0.0.1 rdma
    tell "  transport" "$(sed -n 's/.*SMBDirect (in hex) //p' /proc/fs/cifs/DebugData | head -n 1)"
    events
fi
