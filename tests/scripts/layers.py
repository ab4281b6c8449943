# SPDX-License-Identifier: MIT
"""The tree's own rules: layers, length, licence line, what an umbrella may pull in, and that the project speaks of itself alone."""
import pathlib
import re
import sys

from cases import exit_code, report

root = pathlib.Path(sys.argv[1])
include = root / "include"
LAYER = {"detail": 0, "core": 1, "concept": 2, "redis": 2.5, "backend": 3, "dedup": 3, "metrics": 3, "control": 3, "codec": 3, "engine": 4, "consumer": 4.5, "testing": 8, "ext": 9}
TOP = {"fwd.hpp": 0, "version.hpp": 0, "consumer.hpp": 5, "publisher.hpp": 5, "runtime.hpp": 5, "health.hpp": 5, "redis.hpp": 5, "pulse.hpp": 6}
OPT_IN = re.compile(r"conformance|/ext/|/testing/")


def layer(path):
    parts = pathlib.PurePosixPath(path).parts
    return TOP[parts[1]] if len(parts) == 2 else LAYER[parts[1]]


def family(path):
    parts = pathlib.PurePosixPath(path).parts
    return parts[1] if len(parts) > 2 else "top"


headers = sorted(p.relative_to(include).as_posix() for p in include.rglob("*.hpp"))
includes = {h: re.findall(r'#include [<"](pulse/[^>"]+)[>"]', (include / h).read_text()) for h in headers}

problems = []
for header in headers:
    for wanted in includes[header]:
        if wanted not in includes:
            problems.append(f"{header} includes {wanted}, which does not exist")
        elif family(wanted) == family(header):
            continue
        elif layer(wanted) >= layer(header):
            problems.append(f"{header} (layer {layer(header)}) includes {wanted} (layer {layer(wanted)})")
report("a header includes lower layers or its own family only", problems)

reached = set()
todo = ["pulse/pulse.hpp"]
while todo:
    header = todo.pop()
    if header not in reached:
        reached.add(header)
        todo += includes.get(header, [])
problems = []
for header in sorted(reached):
    for third in re.findall(r"#include <([a-z_]+)/[^>]*>", (include / header).read_text()):
        if third not in ("boost", "pulse", "sys"):  # sys: the C library
            problems.append(f"{header} includes <{third}/...>")
    for boost in re.findall(r"#include <(boost/[^>]*)>", (include / header).read_text()):
        if not boost.startswith("boost/hana/"):
            problems.append(f"{header} includes <{boost}>: only fine-grained Hana")
report("pulse.hpp pulls in nothing but the standard library and fine-grained Hana", problems)
report("pulse.hpp pulls in no opt-in header", [h for h in sorted(reached) if OPT_IN.search(h)])

report("no header is over 350 lines", [f"{h}: {n}" for h in headers if (n := len((include / h).read_text().splitlines())) > 350])

# A formatter that wraps comments runs rows into each other: rows are kept short enough for it.
problems = []
for header in headers:
    for number, line in enumerate((include / header).read_text().splitlines(), 1):
        row = re.match(r"\s*/// \|", line) is not None
        if row != (re.match(r"\s*///.*\|$", line) is not None) or (line.lstrip().startswith("///") and not row and " | | " in line):
            problems.append(f"{header}:{number}: {line.strip()[:100]}")
report("a table in a comment has one row a line", problems)

tracked = [p for d in ("include", "tests", "benchmarks", "docs") for p in (root / d).rglob("*") if p.suffix in (".hpp", ".cpp", ".py")]
sources = [p for d in ("include", "tests", "benchmarks", "docs", "subprojects", ".github", ".ci") for p in (root / d).rglob("*")
           if p.suffix in (".hpp", ".cpp", ".py", ".sh", ".cmake", ".in", ".yml", ".wrap", ".js", ".css") or p.name in ("meson.build", "CMakeLists.txt", "run")]
sources += [root / n for n in ("dev", "meson.build", "meson_options.txt", "CMakeLists.txt", ".clang-format", ".clang-tidy", ".gitignore") if (root / n).exists()]
sources = [p for p in sources if not re.match(r"subprojects/(?!packagefiles/)[^/]+/", p.relative_to(root).as_posix())]  # what a wrap unpacked
report("every source has its licence line", [str(p.relative_to(root)) for p in sources if "SPDX-License-Identifier: MIT" not in p.read_text()[:200]])
number = int(re.search(r"#define PULSE_VERSION (\d+)$", (include / "pulse/version.hpp").read_text(), re.M)[1])
major, minor, patch = number // 10000, number // 100 % 100, number % 100
version, abi = f"{major}.{minor}.{patch}", f"v{major}" if major else f"v0_{minor}"
places = {"meson.build": r"project\('pulse'.* version: '([^']+)'", "CHANGELOG.md": r"^## ([0-9.]+)"}
found = {name: re.search(pattern, (root / name).read_text(), re.M) for name, pattern in places.items()}
report("the version is that of version.hpp everywhere", [f"{name} says {m and m[1]}, not {version}" for name, m in found.items() if not m or m[1] != version])
report(f"headers open pulse::inline {abi}", [f"{h}: {line}" for h in headers for line in re.findall(r"^(?:inline )?namespace pulse.*", (include / h).read_text(), re.M)
                                             if not re.match(rf"namespace pulse::inline {abi}(::[a-z_:]+)? {{", line)])
macros = {h: "PULSE_HAS_" + pathlib.PurePosixPath(h).stem.upper() for h in headers if re.fullmatch(r"pulse/ext/\w+\.hpp", h)}
report("version.hpp tells of every header of ext/", [f"{h}: {m} is missing" for h, m in macros.items() if f"#define {m} 1" not in (include / "pulse/version.hpp").read_text()])
report("headers have #pragma once", [h for h in headers if "#pragma once" not in (include / h).read_text()])

words = re.compile("TO" + "DO|FIX" + "ME")
problems = []
for path in tracked + list(root.glob("*.md")) + list((root / "docs").rglob("*.md")):
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if words.search(line):
            problems.append(f"{path.relative_to(root)}:{number}: {line.strip()[:100]}")
report("nothing is left to be finished", problems)
sys.exit(exit_code())
