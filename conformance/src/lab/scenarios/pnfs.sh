# The kernel's NFS server exports XFS with layouts of its blocks. A client in the same guest accesses the storage by
# another path to the same disk, as it would on another machine: LIO makes the disk from a file, with persistent
# reservations, and the loopback fabric attaches it twice. A SCSI layout names the disk, which the client finds below
# /dev/disk/by-id. A server without SCSI layouts (CONFIG_NFSD_SCSILAYOUT) describes the contents of the disk, and
# blkmapd(8) searches for them.

# The calls of the client to the server, and the callbacks of the server to the client.
counters() {
    sed -n '/ on \/client /,$ s/^\t *\(READ\|WRITE\|LAYOUT[A-Z]*\|GETDEVICEINFO\): \([0-9]*\) .*/\1 \2/p' /proc/self/mountstats
    echo CB_RECALL "$(grep -c ' nfs4_cb_recall:' $tracing/trace)"
    echo CB_LAYOUTRECALL "$(grep -c ' nfs4_cb_layoutrecall_file:' $tracing/trace)"
}

mkdir -p /sys/kernel/config /var/target/pr /var/lib/nfs/{v4recovery,rpc_pipefs} /export /client /dev/disk/by-id /etc
mount -t configfs configfs /sys/kernel/config
tracing=/sys/kernel/tracing
mount -t tracefs tracefs $tracing
echo 1 >$tracing/events/nfs4/nfs4_cb_recall/enable
echo 1 >$tracing/events/nfs4/nfs4_cb_layoutrecall_file/enable
target=/sys/kernel/config/target
disk=$target/core/fileio_0/disk
mkdir -p $disk
truncate -s 512M /tmp/disk
echo fd_dev_name=/tmp/disk,fd_dev_size=$((512 << 20)) >$disk/control
echo 1 >$disk/enable
echo 0123456789abcdef >$disk/wwn/vpd_unit_serial
for path in 1 2; do
    group=$target/loopback/naa.500140500000000$path/tpgt_1
    mkdir -p $group/lun/lun_0
    echo naa.500140500000001$path >$group/nexus
    ln -s $disk $group/lun/lun_0/disk
done
patiently test -e /dev/sda -a -e /dev/sdb
# The server gets the second path, because blkmapd takes the first one.
ln -s ../../sda "/dev/disk/by-id/wwn-0x$(sed s/naa.// /sys/block/sda/device/wwid)"
mkfs.xfs -q -f /dev/sdb
mount /dev/sdb /export

mount -t nfsd nfsd /proc/fs/nfsd
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
printf '%s tpi_cots_ord v %s %s - -\n' tcp inet tcp tcp6 inet6 tcp >/etc/netconfig
printf 'nfs 2049/tcp\nnfs 2049/udp\n' >/etc/services
printf 'tcp 6 TCP\nudp 17 UDP\n' >/etc/protocols
echo '/export *(rw,pnfs,no_root_squash,insecure,fsid=0,no_subtree_check)' >/etc/exports
ip link set lo up
exportfs -ra
rpc.mountd --no-nfs-version 3 3>/dev/null
rpc.nfsd --no-nfs-version 3 2
echo Y >/proc/fs/nfsd/v4_end_grace
mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
DM_DISABLE_UDEV=1 blkmapd 3>/dev/null
mount.nfs4 127.0.0.1:/ /client -o vers=4.2,sec=sys
tell "layouts that the server offers" "$(grep -o 'pnfs=[A-Z_a-z]*' /proc/self/mountstats)"

# after EVENT COMMAND...: shows the effect of an event at the server on a client with a layout of the file.
after() {
    local event=$1 file=/export/file client=/client/file place
    shift
    wanted "$event" || return 0
    fresh $file
    place=$(($(xfs_io -r -c 'fiemap 1m 64k' $file | sed -n 's/.*: \[2048\.\.[0-9]*\]: \([0-9]*\)\.\..*/\1/p') / 8))
    exec 7<>$client
    try "client writes" put_into $client A
    tell "  it is on storage where the file is" "$(yes has A /dev/sdb $place)"
    try "client writes again" put_into $client B
    try "server: $event" "$@" $file
    try "client writes after that" put_into $client C
    tell "  it is on storage where the file was" "$(yes has C /dev/sdb $place)"
    tell "  the server reads it" "$(yes has C $file)"
    try "client writes by a descriptor from before" put_by_7 D
    tell "  it is on storage where the file was" "$(yes has D /dev/sdb $place)"
    tell "  the server reads it" "$(yes has D $file)"
    try "client cuts the file to 1 MiB" truncate -s 1M $client
    try "client makes it larger" truncate -s 8M $client
    try "client removes it" rm $client
    exec 7>&-
    swapoff $file 2>/dev/null || true
    xfs_io -r -c 'chattr -i' $file 2>/dev/null || true
    rm -f $file
}

punch() { xfs_io -c 'fpunch 3m 64k' "$1"; }
zero() { xfs_io -c 'fzero 1m 64k' "$1"; }
share() { cp --reflink=always "$1" /export/copy; }

after "nothing" true
after "truncate(2) to 3 MiB" cut
after "a hole in the last MiB" punch
after "FALLOC_FL_ZERO_RANGE there" zero
after "a reflink of it" share
after "chattr +i" immutable
after "swapon(2)" swapon
