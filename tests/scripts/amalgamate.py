# SPDX-License-Identifier: MIT
"""Pulse as one header, on standard output: pulse.hpp and what it includes, in the order in which a compiler reads it.
usage: amalgamate.py ROOT [HEADER...]    further headers, as redis.hpp or metrics/prometheus_text.hpp, are put in as well"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
include = root / "include"
seen = set()
system = set()


def expand(name):
    """The lines of a header with its own includes put in where they stand; a system header is named where it is first needed."""
    if name in seen:
        return
    seen.add(name)
    depth = 0
    for line in (include / name).read_text().splitlines():
        directive = re.match(r"\s*#\s*(\w+)\s*(.*)", line)
        word, rest = directive.groups() if directive else ("", "")
        depth += {"if": 1, "ifdef": 1, "ifndef": 1, "endif": -1}.get(word, 0)
        if line.startswith("// SPDX-") or (word == "pragma" and rest == "once"):
            continue
        if word == "include":
            own = re.match(r'["<](pulse/[^">]+)[">]', rest)
            if own:
                if depth:
                    sys.exit(f"{name}: {line.strip()} stands inside #if: one header cannot do that")
                yield from expand(own[1])
                continue
            if depth == 0:
                if rest in system:
                    continue
                system.add(rest)
        yield line


version = int(re.search(r"#define PULSE_VERSION (\d+)", (include / "pulse/version.hpp").read_text())[1])
print("// SPDX-License-Identifier: MIT")
print(f"// Pulse {version // 10000}.{version // 100 % 100}.{version % 100} as one header. Needs C++20 and Boost.Hana. Made by tests/scripts/amalgamate.py: change the headers it is made of.")
print("#pragma once")
blank = False
for header in ["pulse.hpp", *sys.argv[2:]]:
    for text in expand("pulse/" + header):
        if text or not blank:
            print(text)
        blank = not text
