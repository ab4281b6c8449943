# SPDX-License-Identifier: MIT
"""Errors of composition, and docs/reference/errors.md out of what really is printed: by a compiler for each tests/compile_fail file, by the program
say_errors at run time ("-": it was not built). usage: errors.py ROOT PROGRAM|- [--write] -- COMPILER...

What only some compilers say is left out of the page: the text of an assertion is the same for all of them. A message that no file provokes is taken from
the header that has it."""
import pathlib
import re
import subprocess
import sys

import compile_fail
from cases import exit_code, report

split = sys.argv.index("--")
root, program = pathlib.Path(sys.argv[1]), sys.argv[2]
compiler = sys.argv[split + 1:]
page = root / "docs" / "reference" / "errors.md"
CODES = [
    ("config", "a setting is wrong", "mend the setting: nothing starts before"),
    ("unavailable", "the other side cannot be reached or is busy", "nothing: the consumer tries again after a pause"),
    ("no_group", "the stream or its group is gone", "decide by `loop.group_lost`"),
    ("denied", "the other side refuses for good", "mend permissions or keys: the consumer ends"),
    ("protocol", "an answer that never should be", "look who answers there: the consumer tries again"),
    ("not_found", "what was named does not exist", "name what exists"),
    ("capacity", "a stated bound is reached", "try later, or raise the bound"),
    ("stopped", "asked after a stop", "nothing"),
]


def asserted():
    """The texts of all assertions in the headers, by family."""
    found = {}
    for header in sorted((root / "include").rglob("*.hpp")):
        for match in re.finditer(r'static_assert\((?:[^";]|"(?!pulse: ))*?((?:"(?:[^"\\]|\\.)*"\s*)+)\);', header.read_text(), re.S):
            text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))
            if text.startswith("pulse: "):
                found.setdefault(text, header.relative_to(root / "include").as_posix())
    return found


def cell(text):
    """A text in a table: what stands between backquotes stays as it is, but for what ends a cell."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return re.sub(r"docs/reference/(\S+\.md)", r"[docs/reference/\1](\1)", "`".join(parts))  # so the pages that errors name are known to exist


printed = compile_fail.run(compiler, root / "tests" / "compile_fail", root / "include")
if program == "-":
    print("skipped the page of errors: Boost.Beast, whose errors it shows, is not installed")
    sys.exit(exit_code())
said = subprocess.run([program], text=True, capture_output=True, timeout=120)
rows = [line.split("\t") for line in said.stdout.splitlines()]
texts = asserted()

out = [
    "# Errors",
    "",
    "What Pulse says when something is wrong, as it prints. Written by `tests/scripts/errors.py` out of programs that make each of them happen; a test checks that",
    "it is up to date.",
    "",
    "| code | what it means | what to do |",
    "|---|---|---|",
    *[f"| `{code}` | {meaning} | {todo} |" for code, meaning, todo in CODES],
    "",
    "A message is one line that names what, where and what is allowed. None holds a password. Nothing throws but the constructors of dedup strategies and",
    "of `FeedbackHandler` (below), and `RateCoordinator::apply`.",
    "",
    "## When it does not compile",
    "",
    "A policy that lacks something gives one error, without what would follow from it. g++ writes `error: static assertion failed: ` before the text, clang",
    "`error: static assertion failed due to requirement '...': `.",
    "",
    "| what is wrong | the compiler says |",
    "|---|---|",
    *[f"| {name.replace('_', ' ')} | {cell(text or 'no single assertion')} |" for name, text in printed.items()],
    "",
    "The others, by the header that they stand in:",
    "",
    "| header | text |",
    "|---|---|",
    *[f"| `{header}` | {cell(text)} |" for text, header in texts.items() if text not in printed.values()],
    "",
    "## When it runs",
    "",
]
for section in dict.fromkeys(row[0] for row in rows):
    coded = any(row[2] for row in rows if row[0] == section)
    out += [f"### {section}", "", "| what was done | code | message |" if coded else "| what came | reason |", "|---|---|---|" if coded else "|---|---|"]
    for row in rows:
        if row[0] == section:
            out.append(f"| {cell(row[1])} | `{row[2]}` | {cell(row[3])} |" if coded else f"| {cell(row[1])} | {cell(row[3])} |")
    out += [""]
    if section == "A Redis server":
        out += ["What the consumer does at each of them: [redis.md](redis.md#how-it-works).", ""]
text = "\n".join(out).rstrip() + "\n"

if "--write" in sys.argv:
    page.write_text(text)

report("what is printed stands in a header", [text for text in printed.values() if text and text not in texts])
report("each error of the program happens", [said.stderr.strip()] if said.returncode or not rows else [])
old = page.read_text().splitlines() if page.exists() else []
new = text.splitlines()
report("docs/reference/errors.md is up to date", [] if old == new else ["write it: python3 tests/scripts/errors.py . BUILD/tests/say_errors --write -- g++",
       *[f"- {line}" for line in old if line not in new][:5], *[f"+ {line}" for line in new if line not in old][:5]])
sys.exit(exit_code())
