# The kernel's SMB server, ksmbd, which gives leases.

mkdir -p /etc/ksmbd
printf '[global]\nnetbios name = GUEST\n[share]\npath = /export\nread only = no\noplocks = yes\n' >/etc/ksmbd/ksmbd.conf
cp /etc/ksmbd/ksmbd.conf /etc/ksmbd/smb.conf
ksmbd.adduser -a root -p secret
ksmbd.mountd 3>/dev/null
patiently grep -q running /sys/class/ksmbd-control/stats
tell "ksmbd-tools" "$(ksmbd.mountd -V 2>&1 | sed -n '1 s/.*[: ]//p')"

# BAD_NETWORK_NAME, a missing share: Linux 6.1.192 rejects answers about shares from ksmbd-tools before 3.5.2, which do
# not state their length. With later tools the kernel crashes when the client opens a file; 6.1.170 does so with both.
mounted "client mounts the share" 127.0.0.1 soft
tell "  dialect" "$(sed -n 's/.*Dialect \(0x[0-9a-f]*\).*/\1/p' /proc/fs/cifs/DebugData | head -n 1)"

events
umount /client
count=()

# Use RDMA, too, if both sides support it (CONFIG_SMB_SERVER_SMBDIRECT, CONFIG_CIFS_SMB_DIRECT) and there is an adapter.
server=$(yes grep -q '\ssmb_direct_.*\[ksmbd\]' /proc/kallsyms)
client=$(yes grep -q '^Features:.*SMB_DIRECT' /proc/fs/cifs/DebugData)
tell "SMB Direct is built into the server" "$server"
tell "  and into the client" "$client"
if [ $server$client = yesyes ]; then
    mounted "client mounts the share by SMB Direct" 10.0.0.1 rdma
    tell "  transport" "$(sed -n 's/.*SMBDirect (in hex) //p' /proc/fs/cifs/DebugData | head -n 1)"
    events
fi
