# SPDX-License-Identifier: MIT
"""Python and C++ on one stream, both ways: what python3-redis and Python's json write and read is what the deployed bus does.
usage: interop.py BINARY DATA"""
import json
import os
import pathlib
import random
import subprocess
import sys
import time

from redis_process import Redis, die_with_parent, need_redis

need_redis()
try:
    import redis
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):  # Debian's package is for the system's Python
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    print("skipped: python3-redis is not installed")
    sys.exit(0)

binary, data = sys.argv[1], pathlib.Path(sys.argv[2])
PATIENCE = 60
STREAM, GROUP = "mdp:mdp.telemetry.feedback", "pipeline"
random.seed(7)
bad = 0


def check(name, good, seen=""):
    global bad
    bad += not good
    print(f"{'ok' if good else 'not ok'} {name}" + ("" if good else f"\n  {str(seen)[:800]}"))


class Consumer:
    """The C++ consumer; `read(n)` gives the next n events that it handled as (delivery count, envelope)."""

    def __init__(self, server, name):
        self.process = subprocess.Popen([binary, "consume", server.url, STREAM, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the C++ consumer does not start")

    @staticmethod
    def parse(line):
        count, event = line.split(" ", 1)
        return int(count), json.loads(event)

    def read(self, count):
        return [self.parse(self.process.stdout.readline()) for _ in range(count)]

    def stop(self):
        """Returns what it still handled."""
        self.process.stdin.close()
        rest = [self.parse(line) for line in self.process.stdout]
        if self.process.wait(PATIENCE) != 0:
            raise RuntimeError("the C++ consumer ended with an error")
        return rest


def client(server):
    return redis.Redis(unix_socket_path=server.path, socket_timeout=PATIENCE)


def feedback(number, **more):
    """As the deployed bus publishes it."""
    return json.dumps({"ts": time.time(), "key": None, "meta": {"schema_id": "telemetry.FeedbackEvent", "track": "v1", "headers": {}, "hash": None},
                       "payload": {"coordinator_id": "py", "queue_size": number, "capacity": 100000, "level": "ok", "source": "store", "ts": time.time()},
                       **more})


def numbers(events):
    return [event["payload"]["queue_size"] for _, event in events]


def meant(sample):
    """What is to arrive of a sample: with the defaults of what it leaves out, and without what v1 does not know."""
    want = sample["decoded"]
    want = {"key": None, **want, "meta": {"track": "v1", "headers": {}, "hash": None, **want["meta"]}}
    if want["meta"]["schema_id"] == "telemetry.FeedbackEvent":
        want["payload"] = {"source": "store", **want["payload"]}
        want["payload"].pop("reason", None)
    want.pop("trace", None)
    return want


def python_to_cpp():
    samples = [json.loads(line) for line in (data / "envelopes.jsonl").read_text().splitlines()]
    good = [sample for sample in samples if sample["expect"] == "ok"]
    wires = [sample["wire"].encode("utf-8", "surrogatepass") for sample in samples]
    dead = [wire for sample, wire in zip(samples, wires) if sample["expect"] != "ok"]
    with Redis() as server:
        python = client(server)
        ids = [python.xadd(STREAM, {"data": wire}) for wire in wires]
        twice = feedback(1, id="the same")
        for wire in (twice, twice, feedback(2)):
            python.xadd(STREAM, {"data": wire})
        consumer = Consumer(server, "cpp")
        seen = consumer.read(len(good) + 2)
        rest = consumer.stop()
        check("what Python published before there was a consumer arrives as it was meant", [event for _, event in seen[:-2]] == [meant(s) for s in good], seen)
        check("an id that Python sends makes the second a duplicate", numbers(seen[-2:]) == [1, 2] and not rest, (seen[-2:], rest))
        check("everything is acknowledged", python.xpending(STREAM, GROUP)["pending"] == 0, python.xpending(STREAM, GROUP))
        letters = [fields for _, fields in python.xrange(STREAM + ".dlq")]
        check("what is no event is a dead letter with its bytes", [fields[b"data"] for fields in letters] == dead, letters)
        names = {b"original_id", b"reason", b"data", b"group", b"consumer", b"deliveries", b"failed_at"}
        check("a dead letter has the fields that an operator's Python reads",
              all(names <= set(fields) and fields[b"original_id"] in ids and fields[b"group"] == GROUP.encode() and fields[b"consumer"] == b"cpp" and
                  fields[b"deliveries"] == b"1" and fields[b"reason"] for fields in letters), letters[:2])


def cpp_to_python():
    with Redis() as server:
        python = client(server)
        done = subprocess.run([binary, "publish", server.url, STREAM, "100"], stdout=subprocess.PIPE, check=True, timeout=PATIENCE)
        python.xgroup_create(STREAM, GROUP, id="0")
        entries = python.xreadgroup(GROUP, "py", {STREAM: ">"}, count=1000)[0][1]
        names = [name for name, _ in entries]
        check("what C++ publishes Python reads, under the ids that C++ was told", names == done.stdout.split() and len(names) == 100, names[:3])
        check("an entry has the one field", all(set(fields) == {b"data"} for _, fields in entries), entries[:2])
        events = [json.loads(fields[b"data"]) for _, fields in entries]

        def right(i, event):
            even = {"coordinator_id": "store-1", "queue_size": i, "capacity": 1000, "level": "soft", "source": "store", "ts": 1.7e9 + i}
            odd = {"provider": "ibkr", "scale": 0.25, "reason": "hard", "ts": 1.7e9 + i}
            meta = {"schema_id": "telemetry." + ("RateAdjustment" if i % 2 else "FeedbackEvent"), "track": "v1", "headers": {}, "hash": None}
            return (event["payload"] == (odd if i % 2 else even) and event["meta"] == meta and event["id"] == f"event-{i}" and
                    event["key"] == f'key "é" {i}' and abs(event["ts"] - time.time()) < 3600)
        check("Python's json reads each as it was meant", all(right(i, event) for i, event in enumerate(events)), events[:2])
        check("Python's acknowledgements are the group's", python.xack(STREAM, GROUP, *names) == 100 and python.xpending(STREAM, GROUP)["pending"] == 0)


def together():
    with Redis() as server:
        python = client(server)
        python.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        for number in range(5):
            python.xadd(STREAM, {"data": feedback(number)})
        left = [name for name, _ in python.xreadgroup(GROUP, "gone", {STREAM: ">"}, count=5)[0][1]]
        # That member is not heard of again: an hour passes.
        python.xclaim(STREAM, GROUP, "gone", 0, left, idle=3_600_000, retrycount=1, justid=True)
        consumer = Consumer(server, "cpp")
        claimed = consumer.read(5)
        check("C++ takes over what a Python member left, and counts the delivery",
              len(left) == 5 and sorted(numbers(claimed)) == list(range(5)) and {count for count, _ in claimed} == {2}, claimed)
        mine = []
        for number in range(5, 305):
            python.xadd(STREAM, {"data": feedback(number)})
            if random.random() < 0.3:
                for _, entries in python.xreadgroup(GROUP, "py", {STREAM: ">"}, count=1, block=1):
                    mine += [json.loads(fields[b"data"])["payload"]["queue_size"] for _, fields in entries]
                    python.xack(STREAM, GROUP, *[name for name, _ in entries])
        theirs = numbers(consumer.read(300 - len(mine)))
        rest = consumer.stop()
        check("a group of Python and C++ handles each event once", sorted(mine + theirs) == list(range(5, 305)) and not rest, (mine, theirs, rest))
        check("and leaves nothing pending", python.xpending(STREAM, GROUP)["pending"] == 0, python.xpending(STREAM, GROUP))


python_to_cpp()
cpp_to_python()
together()
sys.exit(1 if bad else 0)
