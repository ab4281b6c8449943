#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to compile a unit that includes pulse.hpp, against what its parts cost. usage: include.py [--quick] [--json FILE]

Seconds are medians of rounds that take turns. Instructions are the compiler's own, counted by cachegrind; that is slow, so not with --quick.
"""
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
quick, out = False, None
arguments = sys.argv[1:]
while arguments:
    argument = arguments.pop(0)
    if argument == "--quick":
        quick = True
    elif argument == "--json" and arguments:
        name = arguments.pop(0)
        try:
            out = open(name, "w")  # before the run, not after it
        except OSError:
            sys.stderr.write(f'include: cannot write "{name}"\n')
            sys.exit(2)
    else:
        sys.stderr.write(f'include: {"no FILE after" if argument == "--json" else "unknown argument"} "{argument}": allowed are --quick and --json FILE\n')
        sys.exit(2)

reached, todo, standard = set(), ["pulse/pulse.hpp"], set()
while todo:
    header = todo.pop()
    if header in reached:
        continue
    reached.add(header)
    text = (root / "include" / header).read_text()
    todo += re.findall(r'#include "(pulse/[^"]+)"', text)
    standard |= set(re.findall(r"#include <([a-z_]+)>", text))
units = {
    "empty": "",
    "the std headers that pulse.hpp uses": "".join(f"#include <{h}>\n" for h in sorted(standard)),
    "pulse.hpp": "#include <pulse/pulse.hpp>\n",
    "a Consumer": "#include <pulse/pulse.hpp>\nint f(pulse::InMemoryBackend<pulse::Envelope<pulse::FeedbackEvent>>& bus, pulse::RateCoordinator<>& rates) {\n"
                  "  pulse::Consumer consumer{bus, pulse::LruWindow{64}, pulse::NoMetrics{}, rates};\n  return consumer.run() ? 0 : 1;\n}\n",
    "boost/hana.hpp": "#include <boost/hana.hpp>\n",
    "fmt/format.h": "#include <fmt/format.h>\n",
}
command = ["g++", "-std=c++20", "-O0", f"-I{root / 'include'}", "-x", "c++", "-", "-c", "-o", "/dev/null"]
times = {name: [] for name in units}
for _ in range(3 if quick else 9):
    for name, code in units.items():
        start = time.monotonic()
        done = subprocess.run(command, input=code + "int x;\n", text=True, capture_output=True)
        if done.returncode == 0:
            times[name].append(time.monotonic() - start)
        elif "pulse" in code:
            sys.exit(f"include: {name} does not compile:\n{done.stderr}")  # a peer that is not installed is left out


def instructions(code):
    """Those of g++ and its children, in billions; None without valgrind."""
    if shutil.which("valgrind") is None:
        return None
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--trace-children=yes"]
    done = subprocess.run(tool + command, input=code + "int x;\n", text=True, capture_output=True)
    return sum(int(n.replace(",", "")) for n in re.findall(r"I\s+refs:\s+([\d,]+)", done.stderr)) / 1e9


rows = []
medians = {name: statistics.median(t) for name, t in times.items() if t}
base_name = "the std headers that pulse.hpp uses"
base = medians[base_name]
for name, seconds in medians.items():
    print(f"{name:40} {seconds:6.2f} s   {seconds - base:+.2f} s against the std headers that pulse.hpp uses", flush=True)
    rows.append({"bench": "include", "case": name, "metric": "time", "value": round(seconds, 3), "unit": "s", "vs": base_name,
                 "ratio": round(seconds / base, 3)})
if not quick:
    counts = {name: instructions(units[name]) for name in medians}
    for name, count in counts.items():
        if count:
            print(f"{name:40} {count:6.2f} billion instructions   {count - counts[base_name]:+.2f}", flush=True)
            rows.append({"bench": "include", "case": name, "metric": "instructions", "value": round(count, 3), "unit": "1e9", "vs": base_name,
                         "ratio": round(count / counts[base_name], 3)})
if out:
    with out:
        out.write(json.dumps(rows, indent=1) + "\n")
