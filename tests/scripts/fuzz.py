# SPDX-License-Identifier: MIT
"""The fuzz targets of tests/fuzz.
usage: fuzz.py replay BINARY CORPUS        runs one over its corpus, whatever compiler made it
       fuzz.py run BUILD [TARGET...] [--seconds N] [--jobs N]   lets libFuzzer look for inputs that break a law

What a run finds new it leaves in BUILD/fuzz; the corpus in the tree grows by hand only, by what is worth keeping. An input that breaks a law is
printed with the command that runs it again: as a file of tests/fuzz/corpus/TARGET it becomes a test."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz" / "corpus"


def replay(binary, corpus):
    name = f"{pathlib.Path(corpus).name}: its law holds for the corpus"
    done = subprocess.run([binary, corpus], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    tail = "\n  ".join(done.stdout.splitlines()[-40:])
    print(f"ok {name}, {done.stdout.splitlines()[-1]}" if done.returncode == 0 else f"not ok {name}\n  {tail}")
    return done.returncode == 0


def fuzz(build, target, seconds):
    found = build / "fuzz" / target
    found.mkdir(parents=True, exist_ok=True)
    binary = build / "tests" / "fuzz" / f"fuzz_{target}"
    command = [str(binary), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1", "-verbosity=0",
               "-print_funcs=0", f"-artifact_prefix={found}/broken-", str(found), str(CORPUS / target)]
    log = build / "fuzz" / f"{target}.log"
    with open(log, "w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"}).returncode
    text = log.read_text(errors="replace")
    executions = int(found_stat[1]) if (found_stat := re.search(r"stat::number_of_executed_units:\s*(\d+)", text)) else 0
    kept = sum(1 for file in found.iterdir() if not file.name.startswith("broken-"))
    if code == 0 and executions > 0:
        return True, f"ok {target}: {executions} executions in {seconds} s, {kept} inputs that reach something of their own"
    artifact = re.search(r"Test unit written to (\S+)", text)
    again = f"\n  again: {binary} {artifact[1]}" if artifact else ""
    said = [line for line in text.splitlines() if not line.startswith("INFO:")][:60]  # the law comes first, the way to it after
    return False, f"not ok {target}: an input breaks it after {executions} executions{again}\n  " + "\n  ".join(said)


def main():
    if sys.argv[1:2] == ["replay"]:
        return replay(sys.argv[2], sys.argv[3])
    known = sorted(folder.name for folder in CORPUS.iterdir())
    words = argparse.ArgumentParser(prog="./dev fuzz", usage="./dev fuzz [TARGET...] [--seconds N] [--jobs N]\ntargets: " + ", ".join(known))
    words.add_argument("run", help=argparse.SUPPRESS)
    words.add_argument("build", help=argparse.SUPPRESS)
    words.add_argument("targets", nargs="*")
    words.add_argument("--seconds", type=int, default=60)
    words.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = words.parse_args()
    targets = [word for word in arguments.targets if not word.isdigit()] or known
    seconds = next((int(word) for word in arguments.targets if word.isdigit()), arguments.seconds)
    for target in targets:
        if target not in known:
            words.error(f"there is no target {target}")
    good = True
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(fuzz, pathlib.Path(arguments.build).resolve(), target, seconds) for target in targets]
        for run in runs:
            ok, text = run.result()
            good = good and ok
            print(text, flush=True)
    return good


sys.exit(0 if main() else 1)
