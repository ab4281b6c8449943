# SPDX-License-Identifier: MIT
"""The demo does what README.md says of it. usage: demo.py BINARY DATA"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

binary, data = sys.argv[1], pathlib.Path(sys.argv[2])
clean = {k: v for k, v in os.environ.items() if not k.startswith(("PULSE_ENABLED", "EVENT_BUS", "REDIS_URL", "MD_", "SCHEMA_", "MDP_", "PUBLISHER"))}
bad = 0


def check(name, condition, shown=""):
    global bad
    print(f"{'ok' if condition else 'not ok'} {name}" + ("" if condition else f"\n{shown}"))
    bad += not condition


def run(*arguments, stdin=None, **extra):
    return subprocess.run([binary, *arguments], input=stdin, text=True, capture_output=True, env={**clean, **extra}, timeout=60)


with tempfile.TemporaryDirectory() as folder:
    picture = os.path.join(folder, "demo.svg")
    done = run("--json", "--plot", picture)
    shown = done.stdout + done.stderr
    summary = json.loads(done.stdout)
    keys = {"backend", "published", "applied", "duplicates", "dead_lettered", "stale", "lost", "queue_overflow", "lag_ms_p99", "scale_final"}
    check("the summary has its keys", keys <= summary.keys(), shown)
    check("with feedback nothing is dropped and no event is lost", summary["queue_overflow"] == 0 and summary["lost"] == 0, shown)
    check("events were published and applied", summary["published"] > 100 and summary["applied"] > 100, shown)
    check("repeated events were known as duplicates", summary["duplicates"] > 0, shown)
    check("the rate came back", summary["scale_final"] == 1.0, shown)
    check("the plot is a picture", pathlib.Path(picture).read_text().startswith("<svg"))

without = json.loads(run("--json", "--no-feedback").stdout)
check("without feedback the same load overflows the queue", without["queue_overflow"] > 0, str(without))

disabled = json.loads(run("--json", PULSE_ENABLED="false").stdout)
check("disabled, the in-process bus does the same", disabled["queue_overflow"] == 0 and disabled["backend"] == "bus", str(disabled))

samples = [json.loads(line) for line in (data / "envelopes.jsonl").read_text().splitlines()]
one_line = [s for s in samples if "\n" not in s["wire"]]
done = run("--input", "-", stdin="".join(s["wire"] + "\n" for s in one_line))
refused = sum(s["expect"] != "ok" or "RateAdjustment" in s["wire"] for s in one_line)
check("bad lines are dead-lettered, each with a reason, and end nothing", done.returncode == 0 and f"invalid: {refused}\n" in done.stdout, done.stdout[:3000])
check("the metrics text follows", "# TYPE pulse_consume_total counter" in done.stdout, done.stdout[-2000:])
check("a missing file is one line and exit 2", (r := run("--input", "/nowhere/at/all")).returncode == 2 and r.stderr.count("\n") == 1)
check("an unknown argument is one line and exit 2", (r := run("--nope")).returncode == 2 and r.stderr.count("\n") == 1 and "--nope" in r.stderr)
r = run(MDP_FB_SCALE_SOFT="1.5")
check("a bad setting is one line that names it, and exit 2", r.returncode == 2 and r.stderr.count("\n") == 1 and "MDP_FB_SCALE_SOFT" in r.stderr, r.stderr)
r = run(EVENT_BUS_BACKEND="kafka")
check("an unknown backend lists what there is", r.returncode == 2 and "kafka" in r.stderr and "inmem" in r.stderr, r.stderr)
sys.exit(1 if bad else 0)
