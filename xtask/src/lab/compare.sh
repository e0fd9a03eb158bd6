#!/lab/busybox sh
# The first process in the lab where monitors are compared: each boots the same kernel with the same first process, by turns; and ours goes on, too, where it
# has frozen that one in user space. What it says goes to the second serial port; the first is the kernel's.
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
# For each machine the kernel has a thread, which it puts into the control group of whoever wants it. Unless groups are told that this is done often, it waits for all
# processors then, longer than for all else that a machine takes: so a host for machines tells them, whoever their monitor is.
mkdir /groups
mount -t cgroup2 -o favordynmods none /groups
cd /compared
mkfifo said
# Guests run on the processors 1 and 2: see `machine.rs`.
taskset -p 6 $$ >/dev/null || echo "lab: the first processor cannot be kept free of guests"

# QEMU's smallest PC has one way to be reset. What our monitor starts every Linux with is told to QEMU's, too, so that all boot the same.
words='console=ttyS0 quiet panic=-1 reboot=t'
every=$(cat words)
# shellcheck disable=SC2086
ours() { ./boot vmlinux initramfs $words; }
goes_on() { ./go_on /tmp/state /tmp/memory; }
microvm() { qemu vmlinuz; }
microvm_unpacked() { qemu vmlinux; }
qemu() {
    /usr/bin/qemu-system-x86_64 -machine microvm -accel kvm -cpu host -m 256 -nodefaults -no-user-config -display none \
        -serial stdio -no-reboot -kernel "$1" -initrd initramfs -append "$every $words"
}

# With the first machine and after the last, KVM has the kernel's scheduler patched, which takes as long as some of a clone's start, and has been seen to leave the
# PC standing for ever (see `init.sh`). So there is one for as long as the PC runs, without a kernel, and at rest; as on a host that has others to serve. It is
# there when this has returned.
/usr/bin/qemu-system-x86_64 -machine microvm -accel kvm -m 16 -nodefaults -no-user-config -display none -S -daemonize || echo "lab: no machine lasts"

# The PC around us keeps what it has made of the last guest's code, and forgets it byte by byte when that memory is next written to, which takes up to two seconds.
# They are no monitor's, so the memory is written to between two turns, in pages like a guest's.
clean() { dd if=/dev/zero of=/dev/null bs=256M count=1 2>/dev/null; }
boot() {
    clean
    # By what the shell itself can do: to start another process takes as long as some of a clone's start.
    read -r before _ </proc/uptime
    "$1" </dev/null >said 2>&1 &
    first=
    while read -r line; do
        echo "$line"
        case "$line" in
        *'in user space'*) read -r first _ </proc/uptime ;;
        'restored to its first line in '*) echo "lab: restored ${line#restored to its first line in }" >&3 ;;
        esac
    done 3>&1 <said >/tmp/said
    wait
    read -r after _ </proc/uptime
    if [ -n "$first" ]; then
        echo "lab: took $1 $before $first $after"
    else
        cat /tmp/said
        echo "lab: $1 has not come to user space"
    fi
}

# shellcheck disable=SC2086
./freeze vmlinux initramfs-to-freeze /tmp/state /tmp/memory $words || echo "lab: nothing was frozen"

# The first of each finds its files in no cache.
ways='ours microvm microvm_unpacked goes_on'
for way in $ways; do
    boot "$way" >/dev/null
done
for _ in 1 2 3 4 5 6 7; do
    for way in $ways; do
        boot "$way"
    done
done

# Counting takes time, so it is done by itself: why a guest was left, and which ports it was left for.
events=/sys/kernel/tracing/events/kvm
for way in $ways; do
    echo 'hist:key=exit_reason' >$events/kvm_exit/trigger
    echo 'hist:key=port' >$events/kvm_pio/trigger
    boot "$way" >/dev/null
    sed -n "s/^{ exit_reason: *\([0-9]*\) } hitcount: *\([0-9]*\)\$/lab: left $way \1 \2/p" $events/kvm_exit/hist
    sed -n "s/^{ port: *\([0-9]*\) } hitcount: *\([0-9]*\)\$/lab: port $way \1 \2/p" $events/kvm_pio/hist
    echo '!hist:key=exit_reason' >$events/kvm_exit/trigger
    echo '!hist:key=port' >$events/kvm_pio/trigger
done
echo "lab: over"
poweroff -f
