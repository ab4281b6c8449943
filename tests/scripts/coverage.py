# SPDX-License-Identifier: MIT
"""Which lines and branches of include/pulse the tests reach, after they ran in a build with -Db_coverage=true. usage: coverage.py ROOT BUILD

Counted are the library's headers, not its test kits. Of the branches, those that the compiler makes for an exception to pass, and those that it
proves unreachable, are left out: nobody wrote them. Pages for each header are in BUILD/coverage-html."""
import json
import os
import pathlib
import subprocess
import sys

root, build = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
html, raw = build / "coverage-html", build / "coverage.json"
html.mkdir(exist_ok=True)
# gcovr 5.2 asserts that a lambda has one place in all programs; the compiler numbers them differently in each. Only lines and branches are counted here.
subprocess.run(["gcovr", "--root", str(root), "--object-directory", str(build), "--filter", "include/pulse/", "--exclude", ".*conformance.*", "--exclude",
                "include/pulse/testing/", "--exclude-throw-branches", "--exclude-unreachable-branches", "--html-details", str(html / "index.html"),
                "--json", str(raw), "--output", str(build / "coverage.txt"), str(build)], check=True, cwd=root,
               stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONOPTIMIZE": "1"})


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


families, missing = {}, {}
for file in json.loads(raw.read_text())["files"]:
    lines = [line for line in file["lines"] if not line.get("gcovr/noncode")]
    branches = [branch for line in lines for branch in line["branches"]]
    parts = file["file"].removeprefix("include/pulse/").split("/")
    for name in (parts[0] if len(parts) > 1 else "top level", "all"):
        counts = families.setdefault(name, [0, 0, 0, 0])
        counts[0] += sum(line["count"] > 0 for line in lines)
        counts[1] += len(lines)
        counts[2] += sum(branch["count"] > 0 for branch in branches)
        counts[3] += len(branches)
    if left := [line["line_number"] for line in lines if line["count"] == 0]:
        missing["/".join(parts)] = left
print("| headers | lines | branches |\n|---|---|---|")
for name, (lines, of_lines, branches, of_branches) in sorted(families.items(), key=lambda item: (item[0] == "all", item[0])):
    print(f"| {name} | {percent(lines, of_lines)} of {of_lines} | {percent(branches, of_branches)} of {of_branches} |")
print("\nLines that nothing reaches:")
for name, left in missing.items():
    print(f"  {name}: {', '.join(map(str, left))}")
print(f"\npages: {html / 'index.html'}")
