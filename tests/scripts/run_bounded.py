# SPDX-License-Identifier: MIT
"""Runs a test program to its end or to a limit of its own, below Meson's: a test that hangs is then counted as failed, and says so. Counts its cases in
the file that PULSE_COUNTS names, and names those that failed in a file beside it, for who sees no more than the end of the output. PULSE_TEST_LIMIT is
another limit in seconds, for builds that are slow."""
import os
import signal
import subprocess

LIMIT = int(os.environ.get("PULSE_TEST_LIMIT", "540"))


def run(command):
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        text, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        text += f"\nkilled: it had not ended after {LIMIT} s\n"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(command, process.returncode, text)


def count(passed, failed, names):
    counts = os.environ.get("PULSE_COUNTS")
    if counts:
        with open(counts, "a") as out:
            out.write(f"{passed} {failed}\n")
        if failed:
            with open(counts + ".failed", "a") as out:
                out.writelines(f"{name}\n" for name in names)
