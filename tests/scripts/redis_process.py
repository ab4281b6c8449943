# SPDX-License-Identifier: MIT
"""A redis-server of a script's own, on a Unix socket, that goes with its `with` block."""
import ctypes
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def need_redis():
    """Ends the script with a word where there is no redis-server."""
    if shutil.which("redis-server") is None:
        print("skipped: redis-server is not installed")
        sys.exit(0)


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Redis:
    def __init__(self, *config):
        self.config = config

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(pathlib.Path(self.folder.name) / "redis.sock")
        self.url = "unix://" + self.path
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--dir", self.folder.name, "--save", "", *self.config],
            stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        end = time.monotonic() + 30
        while self("PING") != "PONG":
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("redis-server does not start")
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def __call__(self, *words):
        """The reply to one command, as redis-cli prints it."""
        done = subprocess.run(["redis-cli", "-s", self.path, *map(str, words)], capture_output=True, text=True)
        return done.stdout.rstrip("\n")

    def many(self, commands):
        """Many commands by one redis-cli; their words hold no spaces."""
        done = subprocess.run(["redis-cli", "-s", self.path], input="".join(" ".join(map(str, words)) + "\n" for words in commands), text=True,
                              capture_output=True, check=True)
        if "ERR" in done.stdout:
            raise RuntimeError(done.stdout)

    def wait(self, process, condition):
        """Waits until the condition holds, or the process has ended, or for half a minute."""
        end = time.monotonic() + 30
        while not condition() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)

    def rows(self, key):
        """The entries of a stream: [(id, {field: value})]."""
        words = self("XRANGE", key, "-", "+").splitlines()
        rows = []
        while words:
            fields = {}
            entry, words = words[0], words[1:]
            while len(words) >= 2 and not (words[0].count("-") == 1 and words[0].replace("-", "").isdigit()):
                fields[words[0]] = words[1]
                words = words[2:]
            rows.append((entry, fields))
        return rows
