# SPDX-License-Identifier: MIT
"""The cases of a script test, a line each as run_script.py counts them."""
failed = []


def report(name, problems=()):
    """One case, and what is wrong with it."""
    print(f"not ok {name}" if problems else f"ok {name}")
    for problem in problems:
        print("  " + problem)
    if problems:
        failed.append(name)


def exit_code():
    """What the script ends with."""
    return 1 if failed else 0
