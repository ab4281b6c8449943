# SPDX-License-Identifier: MIT
"""Runs the examples of the documentation: each ends with 0 and prints last what its "// Prints: " line says. usage: examples.py FOLDER BINARY...

An example that prints "running" is told to end, by SIGTERM."""
import pathlib
import re
import signal
import subprocess
import sys

folder = pathlib.Path(sys.argv[1])
built = {pathlib.Path(binary).name.removeprefix("example_"): binary for binary in sys.argv[2:]}
bad = 0
for source in sorted(folder.glob("*.cpp")):
    if "// Prints: " not in source.read_text():
        continue  # one that needs a server has a test of its own
    if source.stem not in built:
        print(f"skipped {source.name}: what it includes is not installed")
        continue
    process = subprocess.Popen([built[source.stem]], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines == ["running"]:
            process.send_signal(signal.SIGTERM)
    code = process.wait(timeout=60)
    wanted = re.search(r"^// Prints: (.*)$", source.read_text(), re.M)
    good = code == 0 and wanted and lines and lines[-1] == wanted[1]
    bad += not good
    print(f"{'ok' if good else 'not ok'} {source.name}" + ("" if good else f": exit code {code}, printed {lines}, wanted {wanted and wanted[1]}"))
sys.exit(1 if bad else 0)
