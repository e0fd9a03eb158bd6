#!/lab/busybox sh
# The first process in the lab: brings up KVM and the Debian on its disk, runs each test program there, and says how it ended. What it says goes to
# the second serial port, over which it hears which is next; the first is the kernel's.
#
# Called once more with a word, it is in that Debian, which is the root then. What the kernel has unpacked stands in it by the same names.
BUSYBOX=/lab/busybox
if [ "$1" = in-debian ]; then
    # As whoever administers a host lets in those who may have machines.
    chmod 666 /dev/kvm
    # Guests run on the processors 1 and 2: see `machine.rs`.
    $BUSYBOX taskset -p 6 $$ >/dev/null || echo "lab: the first processor cannot be kept free of guests"
    # With the first machine and after the last, KVM has the kernel's scheduler patched, and QEMU's processors have been seen to go on with what stood
    # there before, for ever. So there is one from the beginning to the end: `KVM_CREATE_VM`.
    # It is there before any other: with two that begin at the same time, it would be one of these moments.
    python3 -c 'import fcntl, signal; vm = fcntl.ioctl(open("/dev/kvm"), 0xAE01, 0); open("/run/machine", "w"); signal.pause()' &
    tries=0
    while [ ! -e /run/machine ] && [ $tries -lt 600 ]; do $BUSYBOX sleep 0.1; tries=$((tries + 1)); done
    # Where tests say nothing for long, this tells one that hangs from a PC that stands still. Over the kernel's port: here it would break their lines.
    while $BUSYBOX sleep 30; do echo "lab: alive" >/dev/ttyS0; done &
    # As many open files as a service manager grants.
    ulimit -H -n 524288
    # Which is the next is said from outside, since another PC has the same list: a line's number, or 0 when none is left. What is lost on the way is asked for again.
    exec 3</dev/ttyS1
    $BUSYBOX stty -echo <&3
    while echo "lab: next"; do
        number=
        read -r -t 60 number <&3 || continue
        [ "$number" != 0 ] || break
        read -r name folder words <<TURN
$($BUSYBOX sed -n "${number}p" /lab/turns)
TURN
        echo "lab: $name begins"
        # Longer than any takes: if one hangs, it fails, and the others still have their turn.
        # A checkout below a folder that Debian has, too, is not in here.
        (cd "$folder" || exit; exec timeout -s KILL 1200 $words 3<&-)
        echo "lab: $name ended with $?"
    done
    echo "lab: over"
    exec $BUSYBOX poweroff -f
fi
$BUSYBOX mount -t devtmpfs none /dev
exec </dev/null >/dev/ttyS1 2>&1
$BUSYBOX mkdir /bin /debian
$BUSYBOX --install -s /bin
export PATH=/bin
mount -t proc none /proc
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk overlay irqbypass kvm kvm-amd nfnetlink; do
    file=$(find /kernel/lib/modules -name "$module.ko")
    # Some kernels have some of them built in.
    [ -z "$file" ] || insmod "$file" || echo "lab: the kernel does not take $module"
done
mount -t ext4 /dev/vda /debian || echo "lab: there is no disk with a Debian"
# Whoever has made the disk may have been no root, and only root's store is root's to use.
[ "$(stat -c %u /debian/lab-store)" = 0 ] || chown -R 0:0 /debian
# The kernel makes one, which is empty unless the checkout is in there, and Debian has another.
rmdir /root 2>/dev/null
for top in /*; do
    case "$top" in
    /bin | /debian | /dev | /init | /lib | /lib64 | /proc | /sys | /usr) ;;
    *) mkdir -p "/debian$top" && mount --bind "$top" "/debian$top" ;;
    esac
done
for top in proc sys dev; do mkdir -p "/debian/$top"; done
mount --move /dev /debian/dev
mount --move /proc /debian/proc
mount -t sysfs none /debian/sys
mount -t cgroup2 none /debian/sys/fs/cgroup
echo "+cpu +memory +pids" >/debian/sys/fs/cgroup/cgroup.subtree_control
mkdir -p /debian/dev/shm /debian/dev/pts /debian/dev/mqueue
mount -t tmpfs -o mode=1777 none /debian/dev/shm
mount -t tmpfs none /debian/run
mount -t devpts none /debian/dev/pts
chmod 1777 /debian/tmp
ifconfig lo up
# The root that the kernel unpacks its files into cannot be left for another, as wardens leave theirs, so the Debian is put on top of it.
cd /debian && mount --move . / && unset PATH &&
    export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/lab HOME=/root FIREBOX_TEST_KERNEL=/kernel FIREBOX_TEST_GENERIC_KERNEL=/generic-kernel FIREBOX_TEST_S3=/lab/s3s-fs FIREBOX_TEST_REGISTRY=/lab-registry &&
    exec $BUSYBOX chroot . $BUSYBOX sh /lab/init in-debian
