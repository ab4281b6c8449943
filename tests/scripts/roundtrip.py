# SPDX-License-Identifier: MIT
"""What we encode means the same to Python's json, which the deployed bus uses. usage: roundtrip.py BINARY DATA"""
import json
import pathlib
import subprocess
import sys

binary, data = sys.argv[1], pathlib.Path(sys.argv[2])
samples = [json.loads(line) for line in (data / "envelopes.jsonl").read_text().splitlines()]
wires = [sample["wire"].encode("utf-8", "surrogatepass") for sample in samples]
done = subprocess.run([binary], input=b"".join(b"%d\n%s" % (len(wire), wire) for wire in wires), stdout=subprocess.PIPE, check=True)
lines = done.stdout.decode().split("\n")[:-1]
bad = 0
for sample, line in zip(samples, lines, strict=True):
    if sample["expect"] != "ok":
        good = line == "refused"
    else:
        want = sample["decoded"]
        want.setdefault("key", None)
        want["meta"] = {"track": "v1", "headers": {}, "hash": None, **want["meta"]}
        if want["meta"]["schema_id"] == "telemetry.FeedbackEvent":
            want["payload"] = {"source": "store", **want["payload"]}
            want["payload"].pop("reason", None)
        want.pop("trace", None)
        good = line != "refused" and json.loads(line) == want
    bad += not good
    print(f"{'ok' if good else 'not ok'} {sample['name']}" + ("" if good else f"\n  {line[:600]}"))
sys.exit(1 if bad else 0)
