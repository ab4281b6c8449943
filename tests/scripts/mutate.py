# SPDX-License-Identifier: MIT
"""The mutation score: how many small changes of meaning to include/pulse the tests notice. What a change is, mutants.py says.
usage: mutate.py ROOT BUILD [--file GLOB]... [--tests GLOB]... [--longest SECONDS] [--budget SECONDS] [--seed N] [--jobs N] [--json FILE] [--again FILE]

--file     headers, as "engine/*" below include/pulse; default: engine, dedup, control, backend/in_memory
--tests    only these, as "dedup/*" below tests; "sim" is the simulation. What other tests would kill survives then: the score is a lower bound
--longest  test cases that take longer are left out, as above
--again    what an earlier run's --json says was killed counts as killed, and is not run: for what a test was added since
--budget   of seconds, for each family; what is left out then is a random part, by the seed
A mutant is run through the test cases that reach it, the shortest first, then through simulated schedules where the simulation has the code; a
test that fails, crashes or takes ten times as long kills it. tests/mutation-survivors.txt holds those that were looked at, each with the reason
why it may live."""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import mutants

COMPILER = "clang++-19"
DEFAULT = ["engine/*", "dedup/*", "control/*", "backend/in_memory*"]
# Where the tests of a family are, if not in the folder of its name; "sim": the simulation runs it as well.
TESTS = {"engine": ["engine", "consumer", "redis/dedup_test.cpp", "sim"], "dedup": ["dedup", "consumer", "redis/dedup_test.cpp", "redis/reply_test.cpp", "sim"],
         "control": ["control", "runtime", "consumer/notices_test.cpp", "sim"],
         "backend": ["backend", "differential", "redis", "testing"], "redis": ["redis_client", "redis"], "consumer": ["consumer", "runtime", "sim"],
         "codec": ["codec", "consumer"], "core": ["core", "codec", "consumer", "control", "runtime", "redis_client"], "publisher": ["runtime"],
         "detail": ["core", "dedup", "runtime"], "metrics": ["metrics", "consumer"]}
LEFT_OUT = re.compile(r"conformance|/testing/|/ext/")  # tools of tests
SCHEDULES = 400


def run(command, timeout, env, where):
    """(exit code or None for too long, output)."""
    def limits():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
                               cwd=where, preexec_fn=limits, env={**os.environ, **env})
    try:
        text, _ = process.communicate(timeout=timeout)
        return process.returncode, text
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


class Family:
    """The headers of one folder with all their mutants in them, and the programs that test them."""

    def __init__(self, root, build, name, headers, arguments):
        self.dir, self.name, self.jobs = build / name.replace("/", "_"), name, arguments.jobs
        self.tests, self.longest = arguments.tests or ["*"], arguments.longest
        shutil.rmtree(self.dir, ignore_errors=True)
        for folder in ("include", "tests"):  # a copy: who works on the tree meanwhile disturbs nothing
            shutil.copytree(root / folder, self.dir / folder)
        (self.dir / "mutant.hpp").write_text(mutants.SWITCH)
        self.sources, self.mutants, self.does_not_compile = {}, {}, set()
        for header in headers:
            self.sources[header], found = mutants.find(self.dir, header)
            for mutant in found:
                mutant.header, mutant.line = header, self.sources[header].count("\n", 0, mutant.begin)
                mutant.source = self.sources[header].split("\n")[mutant.line].strip()
                self.mutants[len(self.mutants) + 1] = mutant
            alike = {}
            for mutant in found:
                alike.setdefault((mutant.change, mutant.source), []).append(mutant)
            for same in alike.values():
                for number, mutant in enumerate(same, 1):  # of several alike in one header a reason is of one of them
                    mutant.key = (header.removeprefix("pulse/"), mutant.change + (f" #{number}" if len(same) > 1 else ""), mutant.source)

    def units(self):
        """Test programs' sources that include one of the headers."""
        wanted = set(self.sources)
        found = []
        for place in TESTS.get(self.name.split("/")[0], [self.name.split("/")[0]]):
            at = self.dir / "tests" / place
            found += [at] if at.suffix else sorted(at.glob("*_test.cpp")) if place != "sim" else []
        return [unit for unit in found if self.wanted(unit.relative_to(self.dir / "tests").as_posix()) and wanted & self.reached(unit)]

    def wanted(self, test):
        return any(fnmatch.fnmatch(test, glob) for glob in self.tests)

    def reached(self, file, seen=None):
        seen = set() if seen is None else seen
        for name in re.findall(r'#include [<"]([^>"]+)[>"]', file.read_text()):
            for path, key in ((self.dir / "include" / name, name), (file.parent / name, str(file.parent / name))):
                if path.exists() and key not in seen:
                    seen.add(key)
                    self.reached(path, seen)
        return seen

    def write(self):
        for header, source in self.sources.items():
            alive = [(number, mutant) for number, mutant in self.mutants.items() if mutant.header == header and number not in self.does_not_compile]
            (self.dir / "include" / header).write_bytes(mutants.render(source, alive).encode("latin-1"))

    def compile(self, source, *options):
        out = self.dir / (str(source.relative_to(self.dir)).replace("/", "_") + ".o")
        command = [COMPILER, "-std=c++20", "-O0", "-w", "-Wno-c++11-narrowing", "-ferror-limit=0", "-fbracket-depth=1024",
                   "-fmacro-backtrace-limit=0", "-ftemplate-backtrace-limit=0", f"-I{self.dir / 'include'}", "-include", str(self.dir / "mutant.hpp"),
                   f'-DPULSE_TEST_DATA="{self.dir / "tests" / "data"}"', *options]
        done = subprocess.run([*command, "-c", str(source), "-o", str(out)], capture_output=True, text=True,
                              env={**os.environ, "CCACHE_DISABLE": "1"})  # which may shorten the paths that errors name
        return out, "" if done.returncode == 0 else done.stderr

    def compile_all(self, sources, *options):
        """Leaves out the mutants that the compiler refuses, until the rest compiles. The object files."""
        made = {}  # source: its object file, and how many mutants were left out then
        for _ in range(24):
            failed = [source for source, (out, _) in made.items() if out is None]
            todo = failed or [source for source in sources if source not in made or made[source][1] != len(self.does_not_compile)]
            if not todo:
                return [made[source][0] for source in sources]
            self.write()
            with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
                done = list(pool.map(lambda source: self.compile(source, *options), todo))
            for source, (out, text) in zip(todo, done):
                made[source] = (None if text else out, len(self.does_not_compile))
            errors = "\n".join(text for _, text in done)
            refused = self.refused(errors)
            if errors.strip() and not refused:
                sys.exit(f"{self.name} does not compile with its mutants, and which one it is is not told:\n{errors[:3000]}")
            self.does_not_compile |= refused
        sys.exit(f"{self.name}: too many mutants that do not compile")

    def refused(self, errors):
        """The mutants at the places that the compiler names: of each error the first place that lies in one."""
        lines = {header: (self.dir / "include" / header).read_bytes().decode("latin-1").split("\n") for header in self.sources}
        found = set()
        for error in re.split(r"(?m)^(?=[^\n]*: (?:fatal )?error: )", errors)[1:]:
            for place in re.finditer(r"(?m)^(?:In file included from )?(\S+?):(\d+):(\d+): ", error):
                header = place[1].removeprefix(str(self.dir / "include") + "/")
                if header not in lines:
                    continue
                text, column = lines[header][int(place[2]) - 1], int(place[3]) - 1
                inside = [(match.start(), int(match[1])) for match in re.finditer(r"::pulse_mutant::on\((\d+)\)", text)]
                before = [pair for pair in inside if pair[0] <= column] or inside
                if before:
                    found.add(max(before)[1] if before is not inside else min(before)[1])
                    break
        return found

    def link(self, out, objects):
        subprocess.run([COMPILER, *map(str, objects), "-o", str(out), "-pthread"], check=True)
        return out

    def build(self):
        units = self.units()
        objects = self.compile_all(units)
        main, errors = self.compile(self.dir / "tests" / "main.cpp")
        if errors:
            sys.exit(errors)
        self.programs = [self.link(one.with_suffix(""), [one, main]) for one in objects]
        self.sim = None
        if "sim" in TESTS.get(self.name.split("/")[0], []) and self.wanted("sim"):
            parts = [file for file in sorted((self.dir / "tests" / "sim").glob("*.cpp")) if not file.name.endswith("_test.cpp")]
            before = len(self.does_not_compile)
            self.sim = self.link(self.dir / "sim", self.compile_all(parts))
            if len(self.does_not_compile) > before:  # all programs must be of one kind
                self.programs = [self.link(one.with_suffix(""), [one, main]) for one in self.compile_all(units)]

    def survey(self):
        """Runs each test case without a mutant: which mutants it reaches, and how long it takes."""
        self.cases = []
        commands = []
        for program in self.programs:
            _, text = run([str(program), "--list-test-cases", "--no-colors"], 60, {}, self.dir)
            names = [line for line in text.splitlines() if line and not line.startswith("[doctest]") and not line.startswith("===")]
            commands += [[str(program), f"--first={i}", f"--last={i}", "--abort-after=1", "--no-colors"] for i in range(1, len(names) + 1)]
        if self.sim:
            commands.append([str(self.sim), "--schedules", str(SCHEDULES)])

        def survey(number):
            path = self.dir / f"reached-{number}"
            begin = time.monotonic()
            code, text = run(commands[number], min(300, self.longest), {"PULSE_REACHED": str(path)}, self.dir)
            took = time.monotonic() - begin
            if took >= self.longest:
                return None
            if code != 0:
                print(f"  left out, fails without a mutant: {' '.join(commands[number])}\n{text[-400:]}")
                return None
            return (took, commands[number], set(map(int, path.read_text().split())) if path.exists() else set())
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            self.cases = sorted((case for case in pool.map(survey, range(len(commands))) if case), key=lambda case: case[0])

    def judge(self, number):
        """"killed", "survived" or "not reached", and by what."""
        reaching = [(took, command) for took, command, reached in self.cases if number in reached]
        for took, command in reaching:
            code, _ = run(command, 10 * took + 5, {"PULSE_MUTANT": str(number)}, self.dir)
            if code != 0:
                return "killed", " ".join([pathlib.Path(command[0]).name, *command[1:2]])
        return ("survived" if reaching else "not reached"), ""


def looked_at(root):
    """(header, change, line): reason. A change without a number is of all that the line has of it."""
    known = {}
    for line in (root / "tests" / "mutation-survivors.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            # A bar may stand in a change and in a source, but not in a reason.
            header, change, source, reason = re.fullmatch(r"(\S+) \| ((?:\S+ -> \S+|[^|]+?)(?: #\d+)?) \| (.*) \| (.*)", line).groups()
            known[header, change, source] = reason
    return known


def main():
    words = argparse.ArgumentParser(prog="./dev mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("root", help=argparse.SUPPRESS)
    words.add_argument("build", help=argparse.SUPPRESS)
    words.add_argument("--file", action="append")
    words.add_argument("--tests", action="append")
    words.add_argument("--longest", type=float, default=1e9)
    words.add_argument("--budget", type=float, default=1e9)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--jobs", type=int, default=os.cpu_count())
    words.add_argument("--json")
    words.add_argument("--again")
    arguments = words.parse_args()
    root, build = pathlib.Path(arguments.root).resolve(), pathlib.Path(arguments.build).resolve()
    globs = arguments.file or DEFAULT
    headers = [path.relative_to(root / "include").as_posix() for path in sorted((root / "include").rglob("*.hpp"))]
    chosen = [header for header in headers if any(fnmatch.fnmatch(header, f"pulse/{glob}") for glob in globs) and not LEFT_OUT.search(header)]
    families = {}
    for header in chosen:
        parts = header.removeprefix("pulse/").removesuffix(".hpp").split("/")
        families.setdefault(parts[0] if len(parts) > 1 else parts[0].split("_")[0], []).append(header)
    known, used, results = looked_at(root), set(), []
    earlier = json.loads(pathlib.Path(arguments.again).read_text()) if arguments.again else []
    killed = {(one["header"], one["change"], one["source"]): one["by"] for one in earlier if one["verdict"] == "killed"}
    for name, of_family in families.items():
        begin = time.monotonic()
        family = Family(root, build, name, of_family, arguments)
        family.build()
        family.survey()
        numbers = [number for number in family.mutants if number not in family.does_not_compile]
        random.Random(arguments.seed).shuffle(numbers)
        print(f"{name}: {len(family.mutants)} mutants of {len(of_family)} headers, {len(family.does_not_compile)} do not compile; "
              f"{len(family.cases)} test cases; built in {time.monotonic() - begin:.0f} s", flush=True)
        begin = time.monotonic()
        counts = {"killed": 0, "survived": 0, "not reached": 0, "looked at": 0}
        left = []
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            def judge(number):
                mutant = family.mutants[number]
                if by := killed.get((mutant.header, *mutant.key[1:])):
                    return number, "killed", by
                return (number, *family.judge(number)) if time.monotonic() - begin < arguments.budget else (number, None, "")
            for number, verdict, by in pool.map(judge, numbers):
                if verdict is None:
                    continue
                mutant = family.mutants[number]
                header, change, line = mutant.key
                reason = next((key for key in (mutant.key, (header, mutant.change, line)) if key in known), None)
                results.append({"header": mutant.header, "line": mutant.line + 1, "change": change, "source": line, "verdict": verdict, "by": by})
                if verdict != "killed" and reason:
                    used.add(reason)
                    counts["looked at"] += 1
                else:
                    counts[verdict] += 1
                    if verdict != "killed":
                        left.append((mutant.header, mutant.line + 1, verdict, " | ".join(mutant.key)))
        ran = sum(counts.values())
        if ran == len(numbers):
            for key in sorted(key for key in known if "pulse/" + key[0] in of_family and key not in used):
                print(f"  listed, and none that lives: {' | '.join(key)}")
        for _, at, verdict, text in sorted(left):
            print(f"  {verdict}, line {at}: {text}")
        score = 100 * counts["killed"] / max(ran - counts["looked at"], 1)
        print(f"{name}: {counts['killed']} of {ran} killed, {counts['survived']} survived, {counts['not reached']} not reached, "
              f"{counts['looked at']} that live for a reason; {score:.1f} % of those that should not live; {time.monotonic() - begin:.0f} s", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1))


main()
