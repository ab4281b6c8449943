# SPDX-License-Identifier: MIT
"""What a compiler says of each tests/compile_fail file: one error that matches its "// expect-error:" line, and none with -DPULSE_TWIN. For errors.py, which
counts them as its cases and makes the page of what was said."""
import concurrent.futures
import os
import re
import subprocess

from cases import report


def attempt(compiler, include, file):
    """What is wrong with the file, and the text of its one assertion."""
    base = [*compiler, "-std=c++20", "-fsyntax-only", f"-I{include}", str(file)]
    wanted = re.findall(r"// expect-error: (.*)", file.read_text())
    failing = subprocess.run(base, text=True, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    errors = [line for line in failing.stderr.splitlines() if re.search(r"\berror:", line)]
    asserted = re.findall(r"error: static assertion failed[^\n]*?(pulse: [^\n]*)", failing.stderr)
    text = asserted[0].strip().rstrip('"') if len(asserted) == 1 else None
    problem = ""
    if not wanted:
        problem = "says not which error it expects"
    elif failing.returncode == 0:
        problem = "compiles, but must not"
    elif len(errors) != 1:
        problem = f"{len(errors)} errors instead of one"
    elif not all(re.search(pattern, errors[0]) for pattern in wanted):
        problem = f"the error does not match {wanted}"
    elif text is None:
        problem = "the error is no assertion of Pulse"
    if problem:
        return file, [problem, *failing.stderr[:2500].splitlines()], text
    twin = subprocess.run([*base, "-DPULSE_TWIN"], text=True, capture_output=True)
    return file, [] if twin.returncode == 0 else ["its positive twin does not compile", *twin.stderr[:500].splitlines()], text


def as_cxx17(compiler, include, header):
    """Without -std=c++20: one line that says so comes first, and nothing out of the library follows it."""
    failing = subprocess.run([*compiler, "-std=c++17", "-fsyntax-only", f"-I{include}", "-x", "c++", "-"], input=f"#include <pulse/{header}>\n", text=True,
                             capture_output=True)
    errors = [line for line in failing.stderr.splitlines() if re.search(r"\berror:", line)]
    wrong = failing.returncode == 0 or "Pulse needs C++20: compile with -std=c++20" not in errors[0] or len(errors) > 2
    return failing.stderr[:2500].splitlines() or ["it compiles"] if wrong else []


def run(compiler, folder, include):
    """Reports a case for each file; returns the texts of their assertions by file name."""
    texts = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, problems, text in pool.map(lambda file: attempt(compiler, include, file), sorted(folder.glob("*.cpp"))):
            report(file.stem, problems)
            texts[file.stem] = text
    for header in ["pulse.hpp", "redis.hpp"]:
        report(f"{header} as C++17 says what it needs", as_cxx17(compiler, include, header))
    return texts
