# SPDX-License-Identifier: MIT
"""Runs a script test and adds its counts to the file that PULSE_COUNTS names. A script prints one line "ok NAME" or "not ok NAME" a case."""
import sys

from run_bounded import count, run

done = run([sys.executable, *sys.argv[1:]])
sys.stdout.write(done.stdout)
lines = done.stdout.splitlines()
passed = sum(line.startswith("ok ") for line in lines)
failed = sum(line.startswith("not ok ") for line in lines)
skipped = sum(line.startswith("skipped") for line in lines)
if (done.returncode != 0 and failed == 0) or passed + failed + skipped == 0:
    failed += 1
count(passed, failed, [line for line in lines if line.startswith("not ok ")] or [f"{sys.argv[1]}: exit code {done.returncode}"])
sys.exit(1 if failed else 0)
