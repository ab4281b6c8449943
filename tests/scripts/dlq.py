# SPDX-License-Identifier: MIT
"""pulse-dlq against a real server, and the commands of the page about it. usage: dlq.py BINARY PAGE"""
import base64
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile

from redis_process import Redis, need_redis

need_redis()
binary, page = sys.argv[1], pathlib.Path(sys.argv[2])
clean = {k: v for k, v in os.environ.items() if not k.startswith(("REDIS_URL", "MD_"))}
stream = "mdp:mdp.telemetry.feedback"
dlq = stream + ".dlq"
bad = 0


def check(name, condition, shown=""):
    global bad
    print(f"{'ok' if condition else 'not ok'} {name}" + ("" if condition else f"\n{shown}"))
    bad += not condition


def start(redis, *words, **extra):
    return subprocess.Popen([binary, *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**clean, "REDIS_URL": redis.url, **extra})


def run(redis, *words, **extra):
    process = start(redis, *words, **extra)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def bury(redis, n, key=stream):
    redis.many(["XADD", key + ".dlq", f"{1764000000000 + 100 * i}-0", "original_id", f"{1763000000000 + i}-0", "reason", "refused", "data", f"d{i}",
                "group", "pipeline", "consumer", "consumer-1", "deliveries", "5", "failed_at", "1764000000.25"] for i in range(n))


def wrong(name, *words, says, **extra):
    code, out, err = run(redis, *words, **extra)
    check(f"{name}: one line, exit 2", code == 2 and out == "" and err.count("\n") == 1 and says in err, (code, out, err))


with Redis() as redis:
    for words in (["list"], ["redrive", "--all"], ["purge", "--all", "--yes"], ["show", "1-0"]):
        code, out, err = run(redis, "--stream", "mistyped", *words)
        check(f"{words[0]} of a stream that is not there: one line that names it, exit 1", code == 1 and out == "" and err.count("\n") == 1 and 'there is no stream "mistyped"' in err, (code, out, err))
    check("nothing was made by asking", redis("DBSIZE") == "0")
    redis("XGROUP", "CREATE", stream, "pipeline", "0", "MKSTREAM")
    code, out, err = run(redis, "list")
    check("an empty DLQ is said to be empty", code == 0 and out == f'no dead letters in "{dlq}"\n', (code, out, err))

    bury(redis, 130)
    redis("XADD", dlq, "1764000099999-0", "original_id", "1763000099999-1", "reason", "bad \x1b[31m\u009b byte", "data", "\x1b]0;\"x\\\u20ac")
    redis("XADD", dlq, "1764000100000-0", "foreign", "yes")
    code, out, err = run(redis, "list", "--json", "--max", "1000")
    letters = [json.loads(line) for line in out.splitlines()]
    check("list gives every letter, oldest first", code == 0 and [l["data"] for l in letters[:130]] == [f"d{i}" for i in range(130)] and len(letters) == 132, out)
    check("with all that is known of it", letters[7] == {"id": "1764000000700-0", "original_id": "1763000000007-0", "reason": "refused", "group": "pipeline",
                                                         "consumer": "consumer-1", "deliveries": 5, "failed_at": 1764000000.25, "data": "d7"}, letters[7])
    check("text with quotes and control characters survives JSON", letters[130]["data"] == "\x1b]0;\"x\\\u20ac" and "\u009b" in letters[130]["reason"], out[-600:])
    check("what somebody else wrote there is shown as it is", letters[131]["original_id"] is None and letters[131]["failed_at"] is None, letters[131])
    code, out, err = run(redis, "list")
    check("list stops at a hundred and says how to go on", out.count("\n") == 101 and "list 1764000010000-0.." in out.splitlines()[-1], out[-300:])
    code, out, err = run(redis, "list", "--json")
    check("list --json stops at nothing: it is the copy before a purge", code == 0 and out.count("\n") == 132 and err == "", (out[-300:], err))
    code, out, err = run(redis, "list", "--json", "--max", "10")
    check("and where it was told to, it says so beside the letters", code == 0 and out.count("\n") == 10 and err == "there are more: list 1764000001000-0..\n", (out, err))
    for words in (["list", "--json"], ["list"], ["show", "1764000000700-0", "--raw"], ["--help"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([binary, *words], text=True, stdout=full, stderr=subprocess.PIPE, env={**clean, "REDIS_URL": redis.url})
        check(f"{words[0]} that cannot be written: one line, exit 1", done.returncode == 1 and done.stderr.count("\n") == 1 and "written" in done.stderr, done)
    code, out, err = run(redis, "list", "1764000010000-0..")
    check("and goes on", out.splitlines()[0].startswith("1764000010000-0  failed 2025-11-24T16:00:00Z  entry 1763000000100-0  deliveries 5  pipeline/consumer-1  refused"), out[:300])
    check("nothing of a letter reaches a terminal as a command", "\x1b" not in out and "\u009b" not in out and r"bad \x1b[31m\xc2\x9b byte" in out, out[-600:])
    code, out, err = run(redis, "list", "1764000000200..1764000000399", "--json")
    check("a range of milliseconds", [json.loads(line)["data"] for line in out.splitlines()] == ["d2", "d3"], out)

    code, out, err = run(redis, "show", "1764000000700-0")
    check("show", code == 0 and "data        d7\n" in out and "reason      refused\n" in out, out)
    redis("XDEL", dlq, "1764000099999-0", "1764000100000-0")
    raw = bytes(range(256))
    subprocess.run(["redis-cli", "-s", redis.path, "-x", "XADD", dlq, "1764000100001-0", "reason", "bytes", "data"], input=raw, check=True, capture_output=True)
    done = subprocess.run([binary, "show", "1764000100001-0", "--raw"], env={**clean, "REDIS_URL": redis.url}, capture_output=True)
    check("show --raw gives the data byte for byte", done.stdout == raw, done.stdout)
    code, out, err = run(redis, "show", "1764000100001-0", "--json")
    check("bytes that are no text are there in base64", base64.b64decode(json.loads(out)["data_base64"]) == raw, out)
    code, out, err = run(redis, "show", "1764000000701-0")
    check("a letter that is not there: one line, exit 1", code == 1 and err.count("\n") == 1 and "1764000000701-0" in err, (code, err))

    code, out, err = run(redis, "purge", "1764000100001-0", "--json")
    check("purge one", code == 0 and json.loads(out) == {"purged": 1} and redis("XLEN", dlq) == "130", (out, err))
    check("purge what is not there: exit 1", run(redis, "purge", "1764000100001-0")[0] == 1)
    wrong("purge of many without --yes", "purge", "--all", says="--yes")
    wrong("purge of a range without --yes", "purge", "..", says="--yes")
    check("and nothing is gone", redis("XLEN", dlq) == "130")

    code, out, err = run(redis, "redrive", "1764000000300-0", "--json")
    check("redrive one", json.loads(out) == {"redriven": 1, "last": "1764000000300-0", "came_back": 0, "end": "done"}, out)
    check("it is in its stream again, marked", [fields for _, fields in redis.rows(stream)] == [{"data": "d3", "redriven": "1763000000003-0"}], redis.rows(stream))
    code, out, err = run(redis, "redrive", "1764000000300-0")
    check("redrive it again: it is not there, exit 1", code == 1 and "1764000000300-0" in err and redis("XLEN", stream) == "1", (code, out, err))
    code, out, err = run(redis, "redrive", "..1764000000499", "--max", "2", "--json")
    check("redrive of a range, at most two", json.loads(out) == {"redriven": 2, "last": "1764000000100-0", "came_back": 0, "end": "max"}, out)
    check("redrive --all", "redriven 127" in run(redis, "redrive", "--all")[1] and redis("XLEN", dlq) == "0" and redis("XLEN", stream) == "130")

    # Interrupted anywhere: each letter is either there or brought back, once.
    redis("DEL", stream, dlq)
    bury(redis, 400)
    process = start(redis, "redrive", "--all", "--rate", "100/s")
    redis.wait(process, lambda: int(redis("XLEN", stream)) >= 5)
    process.kill()
    process.communicate()
    there = [fields["data"] for _, fields in redis.rows(stream)]
    kept = [fields["data"] for _, fields in redis.rows(dlq)]
    check("killed in the middle: nothing is lost or doubled", there + kept == [f"d{i}" for i in range(400)] and 5 <= len(there) < 400, (len(there), len(kept)))
    process = start(redis, "redrive", "--all", "--rate", "100/s", "--json")
    redis.wait(process, lambda: int(redis("XLEN", stream)) >= len(there) + 5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    report = json.loads(out)
    check("Ctrl-C: it says how far it came, exit 130", process.returncode == 130 and report["end"] == "stopped"
          and len(there) + report["redriven"] == int(redis("XLEN", stream)) and report["last"] == f"{1764000000000 + 100 * (len(there) + report['redriven'] - 1)}-0",
          (out, err))
    first, second = start(redis, "redrive", "--all", "--json"), start(redis, "redrive", "--all", "--json")
    both = [json.loads(p.communicate(timeout=60)[0])["redriven"] for p in (first, second)]
    check("two at once share the rest", len(there) + report["redriven"] + sum(both) == 400, both)
    check("each came back once", sorted(fields["data"] for _, fields in redis.rows(stream)) == sorted(f"d{i}" for i in range(400)))

    # Wrong usage and settings.
    wrong("no command", says="list, show, redrive and purge")
    wrong("an unknown command", "lsit", says="lsit")
    wrong("an unknown argument", "list", "--nope", says="--nope")
    wrong("a wrong id", "show", "12", says="MS-SEQ")
    wrong("a range backwards", "list", "5..3", says="5..3")
    wrong("redrive of nothing", "redrive", says="--all")
    wrong("redrive of both", "redrive", "1-0", "--all", says="--all")
    wrong("a wrong rate", "redrive", "--all", "--rate", "fast", says="--rate")
    wrong("a rate of nothing", "redrive", "--all", "--rate", "0", says="--rate")
    wrong("a wrong number", "list", "--max", "-1", says="--max")
    wrong("a value that is missing", "--stream", says="--stream")
    wrong("an argument of another command", "list", "--rate", "5", says="list takes")
    wrong("a wrong namespace", "list", says="MD_NAMESPACE", MD_NAMESPACE="a b")
    check("what is about others' settings does not matter", run(redis, "list", MDP_FB_SCALE_OK="7")[0] == 0)
    wrong("a wrong REDIS_URL", "list", says="REDIS_URL", REDIS_URL="redis://:sesame@host:port")
    wrong("a wrong --url", "list", "--url", "http://:sesame@host", says="--url")
    wrong("a server that needs TLS", "--url", "rediss://:sesame@127.0.0.1", "list", says="TLS")
    everything = ""
    for words in (["--url", "redis://u:sesame@127.0.0.1:1/0"], ["--url", "http://:sesame@host"], ["--url", "redis://:sesame@host:port"],
                  ["--url", redis.url.replace("unix://", "unix://:sesame@")]):
        everything += "".join(map(str, run(redis, *words, "list")))
    check("no password is printed", "sesame" not in everything and "127.0.0.1:1" in everything, everything)
    redis("ACL", "SETUSER", "asks-no-type", "on", "nopass", "~*", "+@all", "-type")
    code, out, err = run(redis, "--url", redis.url.replace("unix://", "unix://asks-no-type:x@"), "list")
    check("who may not ask for a key's type sees the dead letters all the same", code == 0 and err == "", (code, out, err))
    redis("SET", "text.dlq", "x")
    code, out, err = run(redis, "--stream", "text", "list")
    check("a DLQ that is no stream: one line that names it, exit 1", code == 1 and err.count("\n") == 1 and "WRONGTYPE" in err, (code, err))
    check("help", (r := run(redis, "--help"))[0] == 0 and "usage:" in r[1])

with Redis() as redis, tempfile.TemporaryDirectory() as folder:
    bury(redis, 1, "mdp:mdp.telemetry.rate_adjustment")
    dev = pathlib.Path(folder) / "dev"  # the page's ./dev, which would build what is built here already
    dev.write_text(f"#!/bin/sh\n[ \"$1\" = dlq ] || exit 2\nshift\nexec {shlex.quote(os.path.abspath(binary))} \"$@\"\n")
    dev.chmod(0o755)
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S):
        redis("DEL", dlq)
        bury(redis, 12)
        for command in block.splitlines():
            if not command.startswith("export"):
                done = subprocess.run(command, shell=True, cwd=folder, text=True, capture_output=True,
                                      env={**clean, "REDIS_URL": redis.url})
                check(f"the page's `{command}`", done.returncode == 0 and "no dead letters" not in done.stdout and not done.stderr, done.stdout + done.stderr)
sys.exit(1 if bad else 0)
