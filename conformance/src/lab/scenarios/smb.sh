# The kernel's SMB server, ksmbd, shares XFS, and a client in the same guest has files of it open with leases.

mkdir -p /etc/ksmbd /export /client
ip link set lo up
mkfs.xfs -q -f -d file,name=/tmp/disk,size=400m
mount -o loop /tmp/disk /export
printf '[global]\nnetbios name = GUEST\n[share]\npath = /export\nread only = no\noplocks = yes\n' >/etc/ksmbd/ksmbd.conf
cp /etc/ksmbd/ksmbd.conf /etc/ksmbd/smb.conf
echo root:x:0:0::/:/bin/bash >/etc/passwd
ksmbd.adduser -a root -p secret
ksmbd.mountd 3>/dev/null
options='ip=127.0.0.1,unc=\\127.0.0.1\share,username=root,password=secret,vers=3.1.1'
patiently mount -i -t cifs //127.0.0.1/share /client -o "$options"
tell "dialect and capabilities" "$(grep -o 'Dialect 0x[0-9a-f]*' /proc/fs/cifs/DebugData | head -n 1)"

# after EVENT COMMAND...: what an event at the server is to a client that has the file open.
after() {
    local event=$1 file=/export/file client=/client/file
    shift
    fresh $file
    exec 7<>$client
    try "client writes" put_into $client A
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
    try "client removes it" rm $client
    tell "  the server has the name" "$(yes test -e $file -o -e $file.new)"
    exec 7>&-
    swapoff $file 2>/dev/null || swapoff $file.new 2>/dev/null || true
    xfs_io -r -c 'chattr -i' $file 2>/dev/null || true
    rm -f $file $file.new
}

cut() { truncate -s 3M "$1"; }
immutable() { xfs_io -r -c 'chattr +i' "$1"; }

after "nothing" true
after "truncate(2) to 3 MiB" cut
after "chattr +i" immutable
after "swapon(2)" swapon

umount /client
try "mounting by SMB Direct" mount -i -t cifs //10.0.0.1/share /client \
    -o "${options/127.0.0.1/10.0.0.1},rdma,port=5445"
tell "  the kernel says" "$(dmesg | sed -n '/smbd\|smb_direct\|cifs_mount/ { s/^[^]]*] //; h }; $ { x; p }')"
