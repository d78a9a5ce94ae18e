"""Runs servers for a test and ends them with it.

    supervise.py DIR LITTER [-- NAME COMMAND...]...

Each server runs in DIR and writes to DIR/NAME.log. This process lives as long as its standard input
stays open: when the test process ends, however it ends, the kernel closes the pipe, the servers are
killed, and DIR and the files that LITTER lists (comma-separated) are removed. When a server ends by itself, the others are killed, DIR stays (its logs say
why) and the exit code is 1.
"""

import os
import select
import shutil
import signal
import subprocess
import sys


def commands(words):
    """Splits the arguments into (name, command) pairs, each behind a "--"."""
    while words:
        end = words.index("--", 1) if "--" in words[1:] else len(words)
        yield words[1], words[2:end]
        words = words[end:]


def main():
    folder, litter = sys.argv[1:3]
    wake_out, wake_in = os.pipe()
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    servers = []
    ended = False
    try:
        for name, command in commands(sys.argv[3:]):
            with open(os.path.join(folder, name + ".log"), "wb") as log:
                servers.append(
                    # A session of its own: a server is killed with whatever it started.
                    subprocess.Popen(
                        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                    )
                )
        stop = False
        while not (stop or ended):
            ready, _, _ = select.select([sys.stdin, wake_out], [], [])
            if wake_out in ready:
                stop = any(number != signal.SIGCHLD for number in os.read(wake_out, 64))
            if sys.stdin in ready:
                stop = stop or not os.read(sys.stdin.fileno(), 64)
            ended = not stop and any(server.poll() is not None for server in servers)
    except OSError as error:
        ended = True
        with open(os.path.join(folder, "supervise.log"), "w") as log:
            print(error, file=log)
    finally:
        # No polite end: the data is a test's, and the test is over.
        for server in servers:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)
        for server in servers:
            server.wait()
        for path in filter(os.path.exists, litter.split(",")):
            os.remove(path)
    if ended:
        sys.exit(1)
    shutil.rmtree(folder, ignore_errors=True)


main()
