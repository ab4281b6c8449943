# SPDX-License-Identifier: MIT
"""No class of pulse has a vtable in a binary that uses a Consumer. usage: no_vtable.py BINARY"""
import shutil
import subprocess
import sys

nm = shutil.which("nm")
if nm is None:
    print("skipped: no nm on this machine")
    sys.exit(0)
symbols = subprocess.run([nm, "-C", sys.argv[1]], text=True, capture_output=True, check=True).stdout
if "pulse::" not in symbols:
    print("not ok the binary shows no symbol of pulse: nothing is proved")
    sys.exit(1)
found = [line for line in symbols.splitlines() if "vtable for pulse::" in line]
print("\n".join(["not ok vtables"] + found) if found else "ok no vtable of pulse")
sys.exit(1 if found else 0)
