# Samba's server, in user space. It uses leases of the kernel (F_SETLEASE) for its oplocks, and gives no other oplocks
# then.

mkdir -p /etc/samba /run/samba /var/{lib,cache,log,run,lock}/samba /var/lib/samba/private
echo nobody:x:65534:65534::/:/bin/bash >>/etc/passwd
printf 'root:x:0:\nnogroup:x:65534:\n' >/etc/group
printf '%s\n' '[global]' 'server role = standalone' 'load printers = no' 'disable spoolss = yes' 'smb ports = 445' \
    'kernel oplocks = yes' 'passdb backend = smbpasswd:/etc/samba/smbpasswd' \
    '[share]' 'path = /export' 'read only = no' >/etc/samba/smb.conf
touch /etc/samba/smbpasswd
printf 'secret\nsecret\n' | smbpasswd -L -a -s root
smbd -D 3>/dev/null
tell "samba" "$(smbd -V | sed 's/.* //')"
patiently eval ': 2>/dev/null >/dev/tcp/127.0.0.1/445' || { sed '' /var/log/samba/log.smbd && exit 1; }
mounted "client mounts the share" 127.0.0.1 soft
tell "  dialect" "$(sed -n 's/.*Dialect \(0x[0-9a-f]*\).*/\1/p' /proc/fs/cifs/DebugData | head -n 1)"
events
