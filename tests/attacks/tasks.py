"""Fork bomb and thread bomb, both stopping at 200 so that the guard outside has an easy time."""
import os, signal, sys, threading

MANY = 200

def processes():
    children = []
    try:
        while len(children) < MANY:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

def threads():
    enough = threading.Event()
    running = []
    try:
        while len(running) < MANY:
            thread = threading.Thread(target=enough.wait)
            thread.start()
            running.append(thread)
    finally:
        enough.set()

for attempt in (processes, threads):
    try:
        attempt()
        print(f"ESCAPED: {MANY} {attempt.__name__}", flush=True)
    except (OSError, RuntimeError) as error:
        print(f"blocked: {MANY} {attempt.__name__}: {error}", flush=True)
