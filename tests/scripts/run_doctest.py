# SPDX-License-Identifier: MIT
"""Runs a doctest program, shows its output, and adds its counts to the file that PULSE_COUNTS names. With --needs=PROGRAM, the cases of the
test suite PROGRAM are left out where that program is not installed, with a word; where no others are left, the test is skipped. The same holds for
redis-server where EVENT_BUS_BACKEND says inmem; where it says redis, they are not left out."""
import os
import re
import shutil
import sys

from run_bounded import count, run

needed = [word.removeprefix("--needs=") for word in sys.argv[1:] if word.startswith("--needs=")]
bus = os.environ.get("EVENT_BUS_BACKEND")
absent = [program for program in needed if shutil.which(program) is None] if bus != "redis" else []
if bus == "inmem":
    absent = needed
words = [word for word in sys.argv[1:] if not word.startswith("--needs=")]
done = run(words + [f"--test-suite-exclude={','.join(absent)}"] * bool(absent))
sys.stdout.write(done.stdout)
found = re.search(r"test cases:\s*(\d+)\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed(?:\s*\|\s*(\d+) skipped)?", done.stdout)
passed, failed, left_out = (int(found[2]), int(found[3]), int(found[4] or 0)) if found else (0, 1, 0)
code = done.returncode
if absent and left_out:
    print(f"skipped: {left_out} cases need {' and '.join(absent)}, which is " + ("not asked for by EVENT_BUS_BACKEND" if bus == "inmem" else "not installed"))
    if code == 0 and not failed and not passed:
        sys.exit(77)
if code == 0 and (not found or failed or not passed):
    code = 1
if code != 0 and failed == 0:
    failed = 1  # it crashed, or a sanitizer spoke
broken = [block for block in done.stdout.split("=" * 79) if "ERROR: " in block]  # doctest's blocks: where, which case, what
count(passed, failed, [" ".join(block.split("\n\n")[0].split()) for block in broken] or [f"{words[0]}: exit code {done.returncode}"])
sys.exit(1 if code else 0)
