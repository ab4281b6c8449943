# SPDX-License-Identifier: MIT
"""The integration program on each combination of SCHEMA_TRACK (v1, v2) and EVENT_BUS_BACKEND (inmem, redis). usage: integration.py PROGRAM

Where the environment sets one of the two, only that value is run. A case is a line of what the program says that it ran on; where there is more
than one combination, their lists are compared: each must have run something that the others have not. Redis is the server of REDIS_URL, or one of
the program's own; without redis-server its combinations are skipped, unless the environment asks for them."""
import itertools
import os
import re
import shutil
import subprocess
import sys

program = sys.argv[1]
ALLOWED = {"SCHEMA_TRACK": ["v1", "v2"], "EVENT_BUS_BACKEND": ["inmem", "redis"]}
wanted = {}
bad = 0
for name, allowed in ALLOWED.items():
    wanted[name] = [os.environ[name]] if os.environ.get(name) else allowed
    if not set(wanted[name]) <= set(allowed):
        print(f"not ok {name} is {os.environ[name]}: allowed are {' and '.join(allowed)}")
        sys.exit(1)

ran = {}
for track, bus in itertools.product(*wanted.values()):
    if bus == "redis" and not os.environ.get("REDIS_URL") and len(wanted["EVENT_BUS_BACKEND"]) > 1 and shutil.which("redis-server") is None:
        print(f"skipped {track} on {bus}: redis-server is not installed")
        continue
    # A case of the other track, or of the other backend, stands in a suite of that name.
    others = [f"track {other}" for other in ALLOWED["SCHEMA_TRACK"] if other != track] + [f"bus {other}" for other in ALLOWED["EVENT_BUS_BACKEND"] if other != bus]
    done = subprocess.run([program, f"--test-suite-exclude={','.join(others)}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={**os.environ, "SCHEMA_TRACK": track, "EVENT_BUS_BACKEND": bus, **({"REDIS_URL": "redis://127.0.0.1:1"} if bus == "inmem" else {})})
    cases = re.findall(r"^ran (.*)$", done.stdout, re.M)
    ran[track, bus] = {case.split(" ", 2)[2] for case in cases}
    for case in cases:
        print(f"ok {case}" if done.returncode == 0 else f"ran {case}")
    if done.returncode != 0 or not cases:
        bad += 1
        print(f"not ok {track} on {bus}\n{done.stdout[-3000:]}")
    strangers = [case for case in cases if not case.startswith(f"{track} {bus} ")]
    if strangers:
        bad += 1
        print(f"not ok {track} on {bus} ran on something else: {strangers}")


def differs(what, one, other):
    global bad
    only = sorted(ran[one] - ran[other]), sorted(ran[other] - ran[one])
    bad += not all(only)
    print(f"{'ok' if all(only) else 'not ok'} {what} changes what runs: {' '.join(one)} alone runs {only[0]}, {' '.join(other)} alone {only[1]}")


for bus in ALLOWED["EVENT_BUS_BACKEND"]:
    if ("v1", bus) in ran and ("v2", bus) in ran:
        differs(f"SCHEMA_TRACK, on {bus},", ("v1", bus), ("v2", bus))
for track in ALLOWED["SCHEMA_TRACK"]:
    if (track, "inmem") in ran and (track, "redis") in ran:
        differs(f"EVENT_BUS_BACKEND, on {track},", (track, "inmem"), (track, "redis"))
sys.exit(1 if bad else 0)
