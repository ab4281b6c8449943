#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What it costs to compile a unit that includes pulse.hpp, against what its parts cost. usage: include.py [--quick] [--json FILE]"""
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

root = pathlib.Path(__file__).resolve().parent.parent
arguments = sys.argv[1:]
quick = "--quick" in arguments
out = arguments[arguments.index("--json") + 1] if "--json" in arguments else None
for argument in arguments:
    if argument not in ("--quick", "--json", out):
        sys.exit(f'include: unknown argument "{argument}": allowed are --quick and --json FILE')

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
times = {name: [] for name in units}
for _ in range(3 if quick else 9):
    for name, code in units.items():
        start = time.monotonic()
        done = subprocess.run(["g++", "-std=c++20", "-O0", f"-I{root / 'include'}", "-x", "c++", "-", "-c", "-o", "/dev/null"],
                              input=code + "int x;\n", text=True, capture_output=True)
        if done.returncode == 0:
            times[name].append(time.monotonic() - start)
rows = []
medians = {name: statistics.median(t) for name, t in times.items() if t}
base = medians["the std headers that pulse.hpp uses"]
for name, seconds in medians.items():
    print(f"{name:40} {seconds:6.2f} s   {seconds - base:+.2f} s against its std headers")
    rows.append({"bench": "include", "case": name, "metric": "time", "value": round(seconds, 3), "unit": "s",
                 "vs": "the std headers that pulse.hpp uses", "ratio": round(seconds / base, 3)})
if out:
    pathlib.Path(out).write_text(json.dumps(rows, indent=1) + "\n")
