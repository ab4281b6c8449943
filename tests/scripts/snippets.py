# SPDX-License-Identifier: MIT
"""Every C++ block of README.md and docs/ compiles. usage: snippets.py ROOT -- COMPILER...

A block with int main is a program of its own; one that follows the comment <!-- body --> is put into a function after the includes and
declarations of the page's programs; other blocks must be marked <!-- sketch --> (a shape, not code) or <!-- example FILE --> (built
and run by itself). A block that includes what is not
installed is skipped."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

split = sys.argv.index("--")
root = pathlib.Path(sys.argv[1])
compiler = sys.argv[split + 1:]


def blocks():
    """Each block that is to compile: its name and the program it makes."""
    for page in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        for number, match in enumerate(re.finditer(r"(?:<!-- (\w+)[^>]* -->\n)?```cpp\n(.*?)```", page.read_text(), re.S), 1):
            mark, code = match[1], match[2]
            if mark in ("sketch", "example"):
                continue
            if "int main" not in code:
                lines = code.splitlines()
                heads = [line for line in lines if line.startswith("#include")]
                rest = [line for line in lines if not line.startswith("#include")]
                code = "#include <pulse/pulse.hpp>\n" + "\n".join(heads) + "\n[[maybe_unused]] static void snippet() {\n" + "\n".join(rest) + "\n}\nint main() {}\n" \
                    if mark == "body" else "#include <pulse/pulse.hpp>\n" + code + "\nint main() {}\n"
            yield f"{page.relative_to(root)} block {number}", code


def compiled(block):
    """The line that tells of it, and whether it is bad."""
    name, code = block
    done = subprocess.run([*compiler, "-std=c++20", "-Wall", "-Wextra", "-fsyntax-only", f"-I{root / 'include'}", "-x", "c++", "-"], input=code, text=True,
                          capture_output=True)
    missing = re.search(r"fatal error: '?([^:'\n]+?)'?(: No such file| file not found)", done.stderr)
    if done.returncode != 0 and missing and not missing[1].startswith("pulse/"):
        return f"skipped {name}: {missing[1]} is not installed", False
    if done.returncode != 0:
        return f"not ok {name}\n{done.stderr[:1500]}", True
    return f"ok {name}", False


bad = False
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for line, wrong in pool.map(compiled, blocks()):
        print(line)
        bad |= wrong
sys.exit(1 if bad else 0)
