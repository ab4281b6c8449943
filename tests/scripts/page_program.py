# SPDX-License-Identifier: MIT
"""A program of a documentation page, built and run.
usage: page_program.py extract PAGE OUT [NUMBER] | page_program.py run NAME BINARY | page_program.py skip WHAT

`extract` writes the page's first C++ block that has a main, or the NUMBER-th; `run` prints NAME as a case: the program ends with 0; `skip` says what is not installed."""
import pathlib
import re
import subprocess
import sys

if sys.argv[1] == "extract":
    blocks = re.findall(r"```cpp\n(.*?)```", pathlib.Path(sys.argv[2]).read_text(), re.S)
    programs = [block for block in blocks if "int main" in block]
    pathlib.Path(sys.argv[3]).write_text(programs[int(sys.argv[4]) - 1 if len(sys.argv) > 4 else 0])
elif sys.argv[1] == "skip":
    print(f"skipped: {sys.argv[2]} is not installed")
else:
    done = subprocess.run([sys.argv[3]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"ok {sys.argv[2]}" if done.returncode == 0 else f"not ok {sys.argv[2]}\n  {done.stdout[:800]}")
    sys.exit(1 if done.returncode else 0)
