# SPDX-License-Identifier: MIT
"""docs/explanation/redis-faults.md keeps its word: each of its 40 rows names a test that exists, or says why there is none. usage: faults.py ROOT

A row's last cell holds names of test cases between backquotes, " / " before the name of a subcase, or "none: " and a reason."""
import pathlib
import re
import sys

from cases import exit_code, report

root = pathlib.Path(sys.argv[1])
page = root / "docs" / "explanation" / "redis-faults.md"
ROWS = 40
LEAST_REASON = 20  # characters

cases = {}  # the subcases of each, those of other cases of that name included
for path in sorted((root / "tests").rglob("*.cpp")):
    parts = re.split(r'TEST_CASE(?:_FIXTURE\(\w+, |\(|_TEMPLATE\()"((?:[^"\\]|\\.)*)"', path.read_text())
    for name, body in zip(parts[1::2], parts[2::2]):
        cases.setdefault(name, set()).update(re.findall(r'SUBCASE\("((?:[^"\\]|\\.)*)"\)', body))


def problems(text):
    """What is wrong with the page."""
    wrong = []
    seen = []
    for number, *_, shown in (re.split(r" \| ", row[2:].removesuffix(" |")) for row in text.splitlines() if re.match(r"\| \d+ \|", row)):
        seen.append(int(number))
        names = re.findall(r"`([^`]*)`", shown)
        reason = re.match(r"none: (.*)", shown)
        if not names and not (reason and len(reason[1]) >= LEAST_REASON):
            wrong.append(f"row {number} names no test and gives no reason")
        for name in names:
            case, _, subcase = name.partition(" / ") if name not in cases else (name, "", "")
            if case not in cases:
                wrong.append(f"row {number}: there is no test \"{case}\"")
            elif subcase and subcase not in cases[case]:
                wrong.append(f"row {number}: \"{case}\" has no subcase \"{subcase}\"")
    if seen != list(range(1, ROWS + 1)):
        wrong.append(f"its rows are not 1 to {ROWS}, each once, in order")
    return wrong


def noticed(changed, what):
    """Nothing where the change is noticed, and named."""
    return [] if changed != text and any(what in line for line in problems(changed)) else ["it is not"]


text = page.read_text()
rows = re.findall(r"^\| \d+ \|.*$", text, re.M)
first = re.split(r" \| ", rows[0].removesuffix(" |"))
report("every row names tests that exist, or says why there is none", problems(text))
report("a row without either is noticed", noticed(text.replace(rows[0], " | ".join([*first[:-1], "soon"]) + " |"), "names no test"))
report("a reason that is none is noticed", noticed(text.replace(rows[0], " | ".join([*first[:-1], "none: hard"]) + " |"), "names no test"))
report("a test that is not there is noticed", noticed(text.replace(rows[0], rows[0].replace("`redis ", "`no redis ")), "there is no test"))
report("a subcase that is not there is noticed", noticed(text.replace("(CLIENT KILL)`", "(CLIENT PAUSE)`"), "has no subcase"))
report("a row that is missing is noticed", noticed(text.replace(rows[6] + "\n", ""), "each once"))
report("a reason is enough", problems(text.replace(rows[0], " | ".join([*first[:-1], "none: no machine can be made to do it"]) + " |")))
sys.exit(exit_code())
