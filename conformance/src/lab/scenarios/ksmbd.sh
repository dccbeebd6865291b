# The kernel's SMB server, ksmbd, which gives leases.

mkdir -p /etc/ksmbd
printf '[global]\nnetbios name = GUEST\n[share]\npath = /export\nread only = no\noplocks = yes\n' >/etc/ksmbd/ksmbd.conf
cp /etc/ksmbd/ksmbd.conf /etc/ksmbd/smb.conf
ksmbd.adduser -a root -p secret
ksmbd.mountd 3>/dev/null
patiently grep -q running /sys/class/ksmbd-control/stats
tell "ksmbd-tools" "$(ksmbd.mountd -V 2>&1 | sed -n '1 s/.*[: ]//p')"

# A share that is not there, BAD_NETWORK_NAME: Linux 6.1.192 takes no answer about shares from ksmbd-tools before 3.5.2,
# which do not say how long it is. With later ones it dies when the client opens something, as 6.1.170 does with both.
mounted "client mounts the share" 127.0.0.1 soft
tell "  dialect" "$(sed -n 's/.*Dialect \(0x[0-9a-f]*\).*/\1/p' /proc/fs/cifs/DebugData | head -n 1)"

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
