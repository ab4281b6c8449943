# SPDX-License-Identifier: MIT
"""docs/tutorial/on-redis.md, done as it is told: its redis-cli lines are run, and what it says is printed is printed. usage: tutorial.py BINARY PAGE"""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from redis_process import Redis, die_with_parent, need_redis

need_redis()
binary, page = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).read_text()
ping, *commands = [shlex.split(line)[1:] for line in page.splitlines() if line.startswith("redis-cli ")]
printed = re.findall(r"```text\n(.*?)```", page, re.S)
stream = "mdp:mdp.market.ticks"
bad = 0


def check(name, good, seen=""):
    global bad
    bad += not good
    print(f"{'ok' if good else 'not ok'} {name}" + ("" if good else f"\n  {str(seen)[:800]}"))


with tempfile.TemporaryDirectory() as folder, Redis() as redis:
    clean = {name: value for name, value in os.environ.items() if name not in ("MD_NAMESPACE", "SCHEMA_TRACK", "EVENT_BUS_BACKEND")}

    def start(count):
        return subprocess.Popen([binary, str(count)], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env={**clean, "REDIS_URL": redis.url}, preexec_fn=die_with_parent)

    check("a server that runs says what the page says", f"`{redis(*ping)}`" in page, redis(*ping))
    first = start(3)
    redis.wait(first, lambda: "pipeline" in redis("XINFO", "GROUPS", stream))
    for command in commands[:3]:
        redis(*command)
    lines = [first.stdout.readline() for _ in range(2)]
    check("the consumer prints what the page says", "".join(lines) == printed[0], lines)
    redis.wait(first, lambda: redis("XPENDING", stream, "pipeline").startswith("0"))
    dead = redis(*commands[3])
    check("the dead letter has the reason that the page shows", printed[1].strip() in dead, dead)
    first.kill()
    first.wait()
    for command in commands[4:6]:
        redis(*command)
    second = start(2)
    said, _ = second.communicate(timeout=60)
    check("started again, it goes on where it was, and ends", second.returncode == 0 and said == printed[2], (second.returncode, said))
    left = redis(*commands[6])
    check("nothing is left pending", left.startswith("0"), left)
sys.exit(1 if bad else 0)
