#!/bin/busybox sh
# The first process in the lab: brings up KVM, runs each test program, and says how it ended. What it says goes to the second
# serial port; the first is the kernel's.
#
# The root that the kernel unpacks its files into cannot be left for another, as wardens leave theirs. So the same files are a root once more, on
# top of it.
if [ "$1" != on-top ]; then
    /bin/busybox mkdir /top
    /bin/busybox mount --bind / /top
    cd /top && /bin/busybox mount --move . / && exec /bin/busybox chroot . /init on-top
fi
/bin/busybox mount -t devtmpfs none /dev
exec </dev/null >/dev/ttyS1 2>&1
# Its programs are all BusyBox.
/bin/busybox --install -s /bin
export PATH=/bin FIREBOX_TEST_KERNEL=/kernel
mount -t proc none /proc
mount -t sysfs none /sys
for module in irqbypass kvm kvm-amd; do
    insmod "$(find /kernel/lib/modules -name "$module.ko")" || echo "lab: the kernel does not take $module"
done
while read -r name folder program; do
    echo "lab: $name begins"
    # Longer than any takes: if one hangs, the others still have their turn.
    (cd "$folder" && exec timeout -s KILL 300 "$program" --show-output)
    echo "lab: $name ended with $?"
done </lab/programs
echo "lab: over"
poweroff -f
