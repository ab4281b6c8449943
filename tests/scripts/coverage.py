# SPDX-License-Identifier: MIT
"""Which lines and branches of include/pulse the tests reach, after they ran in a build with -Db_coverage=true. usage: coverage.py ROOT BUILD [SOURCE_BUILD]

Counted are the library's headers, not its test kits. gcovr counts the branches of what g++ made: those for an exception to pass, and those that g++
proves unreachable, are left out, those that destroy what a statement made on the way are not. SOURCE_BUILD is a build by clang with
-fprofile-instr-generate -fcoverage-mapping, whose tests have left their counts in SOURCE_BUILD/counts: of it come the conditions that stand in the
source, each as true and as false. Pages for each header are in BUILD/coverage-html and SOURCE_BUILD/html."""
import json
import os
import pathlib
import re
import subprocess
import sys

root, build = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
source_build = pathlib.Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
include = root / "include/pulse"
kits = r".*conformance.*|.*/pulse/testing/.*"


def percent(part, whole):
    return f"{100 * part / whole:.1f} % of {whole}" if whole else "-"


def unfinished(folder):
    """The tests of a build's last run that failed, or did not run: what they would have reached is not counted."""
    log = folder / "meson-logs/testlog.json"
    tests = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [f"{test['name'].split(' / ')[-1]} ({test['result']})" for test in tests if test["result"] != "OK"]


def gcovr():
    """Of each header: its lines with their counts, and its branches as taken or not."""
    html, raw = build / "coverage-html", build / "coverage.json"
    html.mkdir(exist_ok=True)
    # gcovr 5.2 asserts that a lambda has one place in all programs; the compiler numbers them differently in each. Only lines and branches are counted here.
    subprocess.run(["gcovr", "--root", str(root), "--object-directory", str(build), "--filter", "include/pulse/", "--exclude", kits,
                    "--exclude-throw-branches", "--exclude-unreachable-branches", "--html-details", str(html / "index.html"),
                    "--json", str(raw), "--output", str(build / "coverage.txt"), str(build)], check=True, cwd=root,
                   stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONOPTIMIZE": "1"})
    for file in json.loads(raw.read_text())["files"]:
        lines = [line for line in file["lines"] if not line.get("gcovr/noncode")]
        yield (file["file"].removeprefix("include/pulse/"), {line["line_number"]: line["count"] for line in lines},
               [branch["count"] > 0 for line in lines for branch in line["branches"]])


def conditions():
    """Of each header: its conditions by line and column, with what they came to: True, False. All instantiations of a template are one text."""
    profile = source_build / "counts.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "-o", str(profile), *map(str, sorted((source_build / "counts").iterdir()))], check=True)
    targets = json.loads(subprocess.run(["meson", "introspect", "--targets", str(source_build)], check=True, capture_output=True, text=True).stdout)
    programs = [name for target in targets if target["type"] == "executable" for name in target["filename"] if pathlib.Path(name).exists()]
    show = ["llvm-cov-19", "show", f"-instr-profile={profile}", f"-ignore-filename-regex={kits}", "-show-branches=count", "-show-instantiations=false",
            programs[0], *(f"-object={name}" for name in programs[1:])]
    subprocess.run([*show, "-format=html", f"-output-dir={source_build / 'html'}", str(include)], check=True, stderr=subprocess.DEVNULL)
    text = subprocess.run([*show, str(include)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found, header = {}, None
    for line in text.splitlines():
        if line.startswith(str(include)) and line.endswith(":"):
            header = found.setdefault(line[len(str(include)) + 1:-1], {})
        elif (branch := re.search(r"Branch \((\d+):(\d+)\): \[True: (\S+), False: (\S+)\]", line)) is not None:
            seen = header.setdefault((int(branch[1]), int(branch[2])), set())
            seen |= {way for way, count in ((True, branch[3]), (False, branch[4])) if count != "0"}
    return found


families, missing, one_way = {}, {}, {}


def add(header, column, reached, of):
    parts = header.split("/")
    for name in (parts[0] if len(parts) > 1 else "top level", "all"):
        counts = families.setdefault(name, {}).setdefault(column, [0, 0])
        counts[0] += reached
        counts[1] += of


for header, lines, branches in gcovr():
    add(header, "lines", sum(count > 0 for count in lines.values()), len(lines))
    add(header, "branches", sum(branches), len(branches))
    if left := [str(line) for line, count in lines.items() if count == 0]:
        missing[header] = left
for header, ways in (conditions() if source_build else {}).items():
    if ways:
        add(header, "conditions", sum(map(len, ways.values())), 2 * len(ways))
    if left := [f"{line}:{column} {'either' if not seen else 'true' if False in seen else 'false'}" for (line, column), seen in sorted(ways.items()) if len(seen) < 2]:
        one_way[header] = left
columns = ["lines", "branches"] + ["conditions"] * bool(source_build)
print("| headers | lines (gcovr) | branches (gcovr) |" + " conditions, both ways (llvm-cov) |" * bool(source_build) + "\n|" + "---|" * (len(columns) + 1))
for name in sorted(families, key=lambda name: (name == "all", name)):
    print(f"| {name} | " + " | ".join(percent(*families[name].get(column, (0, 0))) for column in columns) + " |")
for title, lists in (("Lines that nothing reaches", missing), ("Conditions (line:column) that never came to be", one_way)):
    if lists:
        print(f"\n{title}:")
        for name, left in sorted(lists.items()):
            print(f"  {name}: {', '.join(left)}")
print(f"\npages: {build / 'coverage-html/index.html'}" + (f", {source_build / 'html/index.html'}" if source_build else ""))
for folder in filter(None, (build, source_build)):
    if partial := unfinished(folder):
        print(f"not the whole: in {folder.name} these did not pass, and what they would have reached is not counted: {', '.join(partial)}")
