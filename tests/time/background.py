"""Runs a command in the background of a terminal at which somebody types, and says how it ended or that it was stopped.
Arguments: the command."""
import os, pty, signal, sys

stdout, stderr = os.dup(1), os.dup(2)
leader, terminal = pty.fork()
if leader:
    os.write(terminal, b"typed at the terminal\n")
    code = os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1])
    sys.exit(code)

# A session of its own, whose terminal is the standard input. Its foreground is this group, and the command's is another.
ready, go = os.pipe()
command = os.fork()
if command == 0:
    os.read(ready, 1)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.execvp(sys.argv[1], sys.argv[1:])
os.setpgid(command, command)
os.write(go, b"x")
_, status = os.waitpid(command, os.WUNTRACED)
if os.WIFSTOPPED(status):
    os.write(stdout, f"stopped by {signal.Signals(os.WSTOPSIG(status)).name}\n".encode())
    os.killpg(command, signal.SIGKILL)
    os.waitpid(command, 0)
    os._exit(1)
os._exit(os.waitstatus_to_exitcode(status) & 255)
