# SPDX-License-Identifier: MIT
"""Every header compiles alone, and twice; two translation units that include all of them link, one of them with
the extensions of the compiler, whose macros (unix, linux) are no names of ours. PULSE_HAS_<NAME> tells whether pulse/ext/name.hpp is usable. usage: headers.py INCLUDE -- COMPILER..."""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

split = sys.argv.index("--")
include = pathlib.Path(sys.argv[1])
compiler = sys.argv[split + 1:]
flags = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", f"-I{include}"]
# Of g++ alone: a project that asks for them would find them in our headers.
if "Free Software Foundation" in subprocess.run([*compiler, "--version"], text=True, capture_output=True).stdout:
    flags += ["-Wuseless-cast", "-Wlogical-op"]
headers = sorted(p.relative_to(include).as_posix() for p in include.rglob("*.hpp"))


def missing_third_party(header):
    """An opt-in header whose library is not installed is skipped: one a user does not have, he does not include."""
    probe = subprocess.run([*compiler, *flags, "-E", "-x", "c++", "-"], input=f"#include <{header}>\n", text=True, capture_output=True)
    return probe.returncode != 0 and "pulse/" not in probe.stderr.split("fatal error:")[-1].split("\n")[0]


def alone(header):
    source = f"#include <{header}>\n#include <{header}>\nint main() {{}}\n"
    done = subprocess.run([*compiler, *flags, "-fsyntax-only", "-x", "c++", "-"], input=source, text=True, capture_output=True)
    return header, done.returncode, done.stderr


bad = 0
usable = []
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for header, code, errors in pool.map(alone, headers):
        if code == 0:
            usable.append(header)
            print(f"ok {header}")
        elif missing_third_party(header):
            print(f"skipped {header}: its library is not installed")
        else:
            bad += 1
            print(f"not ok {header}\n{errors[:2000]}")

with tempfile.TemporaryDirectory() as folder:
    every = "".join(f"#include <{h}>\n" for h in usable)
    one, two = os.path.join(folder, "one.cpp"), os.path.join(folder, "two.cpp")
    pathlib.Path(one).write_text(every + "int other();\nint main() { return other(); }\n")
    macros = "".join(f"static_assert(PULSE_HAS_{pathlib.PurePosixPath(h).stem.upper()} == {int(h in usable)});\n" for h in headers if re.fullmatch(r"pulse/ext/\w+\.hpp", h))
    pathlib.Path(two).write_text("#include <pulse/version.hpp>\n" + macros + every + "int other();\nint other() { return 0; }\n")
    done = subprocess.run([*compiler, *flags, "-std=gnu++20", "-c", two, "-o", two + ".o"], text=True, capture_output=True)
    if done.returncode == 0:
        done = subprocess.run([*compiler, *flags, one, two + ".o", "-o", os.path.join(folder, "both"), "-pthread"], text=True, capture_output=True)
    print("ok two translation units link" if done.returncode == 0 else f"not ok two translation units link\n{done.stderr[:3000]}")
    bad += done.returncode != 0
sys.exit(1 if bad else 0)
