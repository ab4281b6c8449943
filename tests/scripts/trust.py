# SPDX-License-Identifier: MIT
"""docs/explanation/trust.md, out of what the tests say of themselves. usage: trust.py ROOT [--write]

A comment before a test case (or at the top of a tests/compile_fail file) makes its row:
    // guarantee 2           the test holds that guarantee; several numbers with commas
    // guarantee 2: TEXT     it runs a broken twin: TEXT says what goes wrong with it
    // field bug 15          it is the regression test of that bug; so is a test whose name begins with "field bug 15"
"""
import pathlib
import re
import sys

from cases import exit_code, report

root = pathlib.Path(sys.argv[1])
page = root / "docs" / "explanation" / "trust.md"

GUARANTEES = [
    "Nothing delivered is lost",
    "A duplicate inside the window has no effect",
    "What may lose is asked for by name",
    "Bad data does not stop the loop",
    "Retries are bounded",
    "Stopping is bounded",
    "A long handler keeps its lease",
    "The newest level counts",
    "Everything has a bound, or takes one",
    "Off costs nothing",
]
FIELD_BUGS = [
    "a group that starts at the end skips the backlog",
    "a lost group: an endless loop, a hot restart, or a silent replay",
    "pending entries behind a thrown-away cursor are never claimed",
    "claiming excludes reading, or hammers the server",
    "long handlers lose their entries to others",
    "entries that were read ahead age before a worker sees them",
    "a deleted consumer takes its pending entries along",
    "one payload that cannot be decoded wedges the stream",
    "trimmed entries stay pending for ever",
    "acks free no memory",
    "acknowledging always loses what failed",
    "a shutdown dead-letters good events, or cancels at once",
    "a stop never returns while the server is down",
    "a blocked read cannot be interrupted",
    "a connection that came back is silently dead; health checks fight reads",
    "reconnects and polls come as a storm",
    "a failover undoes acks and moves the group back",
    "a former owner's late ack is accepted",
    "a failed event comes back at once",
    "the handler cannot see the delivery count",
    "dead letters without tools; a redrive swallowed by dedup",
    "health is green while the loop is stuck",
    "a cluster: streams of several slots, a count that is each stream's",
    "timeouts grow the rate; a probe passes the floor",
    "marking before handling drops a failed event's redelivery",
]


def cases(path):
    """(name, comments right before it) of each test case; a compile_fail file is one."""
    text = path.read_text()
    if path.parent.name == "compile_fail":
        yield path.stem, re.findall(r"^// (.*)$", text, re.M)
        return
    comments = []
    for line in text.splitlines():
        if line.startswith("// "):
            comments.append(line[3:])
            continue
        if case := re.match(r'TEST_CASE(?:_FIXTURE\(\w+, |\(|_TEMPLATE\()"([^"]*)"', line):
            yield case[1], comments
        comments = []


guarantees = {n: ([], []) for n in range(1, len(GUARANTEES) + 1)}
bugs = {n: [] for n in range(1, len(FIELD_BUGS) + 1)}
wrong = []
for path in sorted((root / "tests").rglob("*.cpp")):
    where = path.relative_to(root / "tests").as_posix()
    for name, comments in cases(path):
        short = re.sub(r"^field bug \d+: ", "", name)
        numbers = set(map(int, re.findall(r"^field bug (\d+)", name)))
        for comment in comments:
            if found := re.match(r"guarantee ([\d, ]+)(?:: (.*))?$", comment):
                for number in map(int, found[1].split(",")):
                    if number not in guarantees:
                        wrong.append(f"{where}: there is no guarantee {number}")
                    elif found[2]:
                        twin = re.match(r"twin (\w+) is caught as (.*)", name)
                        by = f"simulation: {twin[2]}" if twin else ("compiler" if "compile_fail" in where else f"{where}: {short}")
                        guarantees[number][1].append((f"`{twin[1]}`: {found[2]}" if twin else found[2], by))
                    else:
                        guarantees[number][0].append(f"{where}: {short}")
            elif found := re.match(r"field bug ([\d, ]+)$", comment):
                numbers |= set(map(int, found[1].split(",")))
        for number in numbers:
            if number in bugs:
                bugs[number].append(f"{where}: {short}")
            else:
                wrong.append(f"{where}: there is no field bug {number}")

out = [
    "# Why to trust it",
    "",
    "Written by `tests/scripts/trust.py --write` out of the tests; a test checks that it is up to date.",
    "",
    "For each guarantee there are tests, and something that breaks it on purpose: a twin of a policy that does what somebody once shipped. A twin",
    "that no test or simulated schedule objects to would mean that the guarantee is not tested. The simulation, on which every guarantee but 10 leans,",
    "is described in [simulate](../how-to/simulate.md); what each guarantee means, in [guarantees](guarantees.md).",
    "",
]
for number, (tests, twins) in guarantees.items():
    out += [f"## {number}. {GUARANTEES[number - 1]}", "", "| broken twin | caught by |", "|---|---|"]
    out += [f"| {twin} | {by} |" for twin, by in twins]
    out += ["", "Tests:", ""]
    out += [f"- {test}" for test in tests]
    out += [""]
out += ["## Bugs that others had", "", "| # | what users met | regression tests |", "|---|---|---|"]
out += [f"| {number} | {FIELD_BUGS[number - 1]} | {'<br>'.join(tests)} |" for number, tests in bugs.items()]
text = "\n".join(out) + "\n"

if "--write" in sys.argv:
    page.write_text(text)

report("annotations name what there is", wrong)
report("every guarantee has a test", [GUARANTEES[n - 1] for n, (tests, _) in guarantees.items() if not tests])
report("every guarantee has a broken twin that is caught", [GUARANTEES[n - 1] for n, (_, twins) in guarantees.items() if not twins])
report("every bug that others had has a regression test", [f"{n}: {FIELD_BUGS[n - 1]}" for n, tests in bugs.items() if not tests])
for told in ("README.md", "docs/explanation/guarantees.md"):
    named = re.findall(r"^(?:- )?\*\*(.*?)\.?\*\*", (root / told).read_text(), re.M)
    named = [name for name in named if name in GUARANTEES or told != "README.md"]
    report(f"{told} names the guarantees, in this order", [] if named == GUARANTEES else [f"{told}: {named}", f"here: {GUARANTEES}"])
report("docs/explanation/trust.md is up to date", [] if page.exists() and page.read_text() == text else ["write it: python3 tests/scripts/trust.py . --write"])
sys.exit(exit_code())
