# SPDX-License-Identifier: MIT
"""The demo does what README.md says of it. usage: demo.py BINARY DATA"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from redis_process import Redis

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
    keys = {"backend", "published", "applied", "duplicates", "dead_lettered", "stale", "lost", "queue_overflow", "lag_ms_p99", "scale_final", "events", "applied_twice",
            "restarts"}
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
check("--kill-consumer without a process to kill: one line, exit 2", (r := run("--kill-consumer")).returncode == 2 and r.stderr.count("\n") == 1
      and "EVENT_BUS_BACKEND" in r.stderr, r.stderr)
check("it has no sense without feedback", run("--kill-consumer", "--no-feedback", EVENT_BUS_BACKEND="redis").returncode == 2)
r = run("--json", EVENT_BUS_BACKEND="redis", REDIS_URL="redis://:sesame@127.0.0.1:1/0")
check("a server that is not there: one line that names it and no password, exit 2", r.returncode == 2 and r.stderr.count("\n") == 1 and "127.0.0.1:1" in r.stderr
      and "sesame" not in r.stderr and not r.stdout, r.stderr)
r = run("--json", EVENT_BUS_BACKEND="redis", PATH="/nowhere")
check("no redis-server: one line that says what to do, exit 2", r.returncode == 2 and r.stderr.count("\n") == 1 and "REDIS_URL" in r.stderr, r.stderr)

if shutil.which("redis-server") is None:
    print("skipped: the demo over Redis needs redis-server, which is not installed")
    sys.exit(1 if bad else 0)


def faultless(name, summary, shown):
    check(f"{name}: no event is lost and none applied twice", summary["lost"] - summary["queue_overflow"] == summary["applied_twice"] == summary["dead_lettered"] == 0
          and summary["applied"] == summary["events"] > 100, shown)
    check(f"{name}: repeated events were known as duplicates, and the rate came back", summary["duplicates"] > 0 and summary["scale_final"] == 1.0, shown)


with tempfile.TemporaryDirectory() as folder:
    picture = os.path.join(folder, "demo.svg")
    done = run("--json", "--plot", picture, EVENT_BUS_BACKEND="redis", TMPDIR=folder)
    summary = json.loads(done.stdout)
    check("over Redis the summary has the same keys", keys <= summary.keys() and summary["backend"] == "redis", done.stdout + done.stderr)
    faultless("over Redis", summary, done.stdout)
    check("over Redis, too, the queue does not overflow", summary["queue_overflow"] == 0, done.stdout)
    check("the plot is a picture there, too", pathlib.Path(picture).read_text().startswith("<svg"))
    done = run("--kill-consumer", "--json", EVENT_BUS_BACKEND="redis", TMPDIR=folder)
    summary = json.loads(done.stdout)
    check("the pipeline was killed and started again", summary["restarts"] == 1, done.stdout + done.stderr)
    faultless("killed in the middle", summary, done.stdout)
    check("nothing of it is left in the folder for temporary files", os.listdir(folder) == ["demo.svg"], os.listdir(folder))
    with Redis() as redis:
        redis("SET", "mine", "untouched")
        done = run("--kill-consumer", EVENT_BUS_BACKEND="redis", REDIS_URL=redis.url, TMPDIR=folder)
        check("on a server of somebody else's, in plain lines", done.returncode == 0 and "lost 0, applied twice 0" in done.stdout and "level hard" in done.stdout
              and done.stdout.count("lag p99") == 1, done.stdout + done.stderr)
        check("it leaves the server as it was", redis("KEYS", "*") == "mine", redis("KEYS", "*"))
        before = set(os.listdir(folder))
        process = subprocess.Popen([binary, "--json"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**clean, "EVENT_BUS_BACKEND": "redis", "REDIS_URL": redis.url, "TMPDIR": folder})
        redis.wait(process, lambda: redis("DBSIZE") != "1")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        check("Ctrl-C leaves nothing either", process.returncode == 130 and redis("KEYS", "*") == "mine" and set(os.listdir(folder)) == before,
              (process.returncode, redis("KEYS", "*"), os.listdir(folder)))
    done = run("--input", "-", "--json", stdin="".join(s["wire"] + "\n" for s in one_line), EVENT_BUS_BACKEND="redis", TMPDIR=folder)
    over = json.loads(done.stdout)
    within = json.loads(run("--input", "-", "--json", stdin="".join(s["wire"] + "\n" for s in one_line)).stdout)
    check("lines over Redis have the outcomes they have in memory", {**over, "backend": ""} == {**within, "backend": ""}, (over, within))
sys.exit(1 if bad else 0)
