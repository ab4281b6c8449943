# SPDX-License-Identifier: MIT
"""What we read and write means the same to Python's json, which the deployed bus uses. usage: roundtrip.py BINARY DATA CORPUS

DATA holds the samples with what they are expected to be, CORPUS texts of which Python's own verdict is asked."""
import json
import pathlib
import re
import subprocess
import sys

binary, data, corpus = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
# What an envelope is not allowed to be although it is JSON, or what Python takes for JSON.
REASONS = re.compile(r"malformed: (the text does not end with '}'|an envelope is an object|(ts|meta|payload|meta\.schema_id) is missing|[a-z_.]+ must be a|"
                     r"nested deeper than allowed|more headers than allowed|longer than allowed|a member that decides meaning appears twice|a lone surrogate)")
samples = [json.loads(line) for line in (data / "envelopes.jsonl").read_text().splitlines()]
texts = [(sample["name"], sample["wire"].encode("utf-8", "surrogatepass")) for sample in samples]
texts += [(file.name, file.read_bytes()) for file in sorted(corpus.iterdir())]
done = subprocess.run([binary], input=b"".join(b"%d\n%s" % (len(wire), wire) for _, wire in texts), stdout=subprocess.PIPE, check=True)
lines = done.stdout.decode().split("\n")[:-1]
bad = 0


def report(name, problem):
    global bad
    bad += bool(problem)
    print(f"not ok {name}\n  {problem[:600]}" if problem else f"ok {name}")


def refuse(constant):
    raise ValueError(constant)


for sample, line in zip(samples, lines):
    if sample["expect"] != "ok":
        good = line.startswith(sample["expect"] + ": ")
    else:
        want = sample["decoded"]
        want.setdefault("key", None)
        want["meta"] = {"track": "v1", "headers": {}, "hash": None, **want["meta"]}
        if want["meta"]["schema_id"] == "telemetry.FeedbackEvent":
            want["payload"] = {"source": "store", **want["payload"]}
            want["payload"].pop("reason", None)
        want.pop("trace", None)
        good = line.startswith("{") and json.loads(line) == want
    report(sample["name"], "" if good else line)

apart = []
for (name, wire), line in zip(texts, lines, strict=True):
    try:
        json.loads(wire.decode(), parse_constant=refuse)
        accepted = True
    except (ValueError, RecursionError):
        accepted = False
    if not accepted and not line.startswith("malformed: "):
        apart.append(f"{name}: Python refuses it, and we do not: {line}")
    if accepted and line.startswith("malformed: ") and not REASONS.match(line):
        apart.append(f"{name}: Python accepts it, and we say: {line}")
report("what Python refuses is malformed, and what it accepts is refused for a reason that is none of grammar", "\n  ".join(apart))
sys.exit(1 if bad else 0)
