# SPDX-License-Identifier: MIT
"""Each file must fail to compile with one error that matches its "// expect-error:" line, and must compile with -DPULSE_TWIN.
usage: compile_fail.py FOLDER INCLUDE -- COMPILER..."""
import pathlib
import re
import subprocess
import sys

split = sys.argv.index("--")
folder, include = pathlib.Path(sys.argv[1]), sys.argv[2]
compiler = sys.argv[split + 1:]
base = [*compiler, "-std=c++20", "-fsyntax-only", f"-I{include}"]
bad = 0
for case in sorted(folder.glob("*.cpp")):
    wanted = re.findall(r"// expect-error: (.*)", case.read_text())
    failing = subprocess.run([*base, str(case)], text=True, capture_output=True)
    errors = [line for line in failing.stderr.splitlines() if re.search(r"\berror:", line)]
    problem = ""
    if not wanted:
        problem = "says not which error it expects"
    elif failing.returncode == 0:
        problem = "compiles, but must not"
    elif len(errors) != 1:
        problem = f"{len(errors)} errors instead of one"
    elif not all(re.search(pattern, errors[0]) for pattern in wanted):
        problem = f"the error does not match {wanted}"
    if not problem:
        twin = subprocess.run([*base, "-DPULSE_TWIN", str(case)], text=True, capture_output=True)
        if twin.returncode != 0:
            problem = "its positive twin does not compile: " + twin.stderr[:500]
    if problem:
        bad += 1
        print(f"not ok {case.stem}: {problem}\n" + failing.stderr[:2500])
    else:
        print(f"ok {case.stem}")
# Without -std=c++20: one line that says so comes first, and nothing out of the library follows it.
for header in ["pulse.hpp", "redis.hpp"]:
    failing = subprocess.run([*compiler, "-std=c++17", "-fsyntax-only", f"-I{include}", "-x", "c++", "-"], input=f"#include <pulse/{header}>\n",
                             text=True, capture_output=True)
    errors = [line for line in failing.stderr.splitlines() if re.search(r"\berror:", line)]
    if failing.returncode == 0 or "Pulse needs C++20: compile with -std=c++20" not in errors[0] or len(errors) > 2:
        bad += 1
        print(f"not ok {header} as C++17 says what it needs\n" + failing.stderr[:2500])
    else:
        print(f"ok {header} as C++17 says what it needs")
sys.exit(1 if bad else 0)
