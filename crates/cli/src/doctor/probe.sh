# Tries, from inside a cell, what the cell is there to stop. Says what was seen, a line for each.
# Arguments: a file that anybody may read, a port that somebody listens at, a process that runs.

tried() { if [ "$2" = 0 ]; then echo "$1 open"; else echo "$1 closed"; fi; }

cat "$1" > /dev/null 2>&1; tried files $?
[ -e "$1" ]; tried names $?
(exec 3<> "/dev/tcp/127.0.0.1/$2") 2> /dev/null; tried network $?
kill -0 "$3" 2> /dev/null; tried processes $?
ipcmk -M 1 > /dev/null 2>&1; tried shared_memory $?
setarch "$(uname -m)" -R true 2> /dev/null; tried system_calls $?
cp /usr/bin/true /dev/shm/tried 2> /dev/null && /dev/shm/tried 2> /dev/null; tried landlock $?

echo "ipc_namespace $(readlink /proc/self/ns/ipc)"
echo "host_name $(uname -n)"
echo "device $(stat -c %d /usr/bin/env)"
echo "outer_user $( (read -r _ outside _ < /proc/self/uid_map && echo "$outside") 2> /dev/null)"
setpriv --dump 2> /dev/null | while IFS=: read -r name value; do
  case $name in
    no_new_privs) echo "no_new_privileges$value" ;;
    'Inheritable capabilities') echo "capabilities$value" ;;
  esac
done
true
