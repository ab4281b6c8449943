# SPDX-License-Identifier: MIT
"""Runs a test program to its end or to a limit of its own, below Meson's: a test that hangs is then counted as failed, and says so."""
import os
import signal
import subprocess

LIMIT = 540


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
