#!/lab/busybox sh
# The first process in the lab where monitors are compared: each boots the same kernel with the same first process, by turns. What it
# says goes to the second serial port; the first is the kernel's.
/lab/busybox mount -t devtmpfs none /dev
exec </dev/null >/dev/ttyS1 2>&1
/lab/busybox mkdir /bin
/lab/busybox --install -s /bin
export PATH=/bin:/usr/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tracefs none /sys/kernel/tracing
for module in irqbypass kvm kvm-amd; do
    insmod "$(find /kernel/lib/modules -name "$module.ko")" || echo "lab: the kernel does not take $module"
done
cd /compared
# Guests run on the processors 1 and 2: see `machine.rs`.
taskset -p 6 $$ >/dev/null || echo "lab: the first processor cannot be kept free of guests"

# QEMU's smallest PC has one way to be reset. What our monitor starts every Linux with is told to QEMU's, too, so that all boot the same.
words='console=ttyS0 quiet panic=-1 reboot=t'
every=$(cat words)
# shellcheck disable=SC2086
ours() { ./boot vmlinux initramfs $words; }
microvm() { qemu vmlinuz; }
microvm_unpacked() { qemu vmlinux; }
qemu() {
    /usr/bin/qemu-system-x86_64 -machine microvm -accel kvm -cpu host -m 256 -nodefaults -no-user-config -display none \
        -serial stdio -no-reboot -kernel "$1" -initrd initramfs -append "$every $words"
}

# The PC around us keeps what it has made of the last guest's code, and forgets it byte by byte when that memory is next written to, which takes up to two seconds.
# They are no monitor's, so the memory is written to between two turns, in pages like a guest's.
clean() { dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null; }
now() { cut -d' ' -f1 /proc/uptime; }
boot() {
    clean
    before=$(now)
    "$1" </dev/null >/tmp/said 2>&1
    after=$(now)
    if grep -q 'in user space' /tmp/said; then
        echo "lab: took $1 $before $after"
    else
        cat /tmp/said
        echo "lab: $1 has not come to user space"
    fi
}

# The first of each finds its files in no cache.
monitors='ours microvm microvm_unpacked'
for monitor in $monitors; do
    boot "$monitor" >/dev/null
done
for _ in 1 2 3 4 5 6 7; do
    for monitor in $monitors; do
        boot "$monitor"
    done
done

# Counting takes time, so it is done by itself: why a guest was left, and which ports it was left for.
events=/sys/kernel/tracing/events/kvm
for monitor in $monitors; do
    echo 'hist:key=exit_reason' >$events/kvm_exit/trigger
    echo 'hist:key=port' >$events/kvm_pio/trigger
    boot "$monitor" >/dev/null
    sed -n "s/^{ exit_reason: *\([0-9]*\) } hitcount: *\([0-9]*\)\$/lab: left $monitor \1 \2/p" $events/kvm_exit/hist
    sed -n "s/^{ port: *\([0-9]*\) } hitcount: *\([0-9]*\)\$/lab: port $monitor \1 \2/p" $events/kvm_pio/hist
    echo '!hist:key=exit_reason' >$events/kvm_exit/trigger
    echo '!hist:key=port' >$events/kvm_pio/trigger
done
echo "lab: over"
poweroff -f
