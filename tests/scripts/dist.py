# SPDX-License-Identifier: MIT
"""What a release consists of. usage: dist.py ROOT OUT [--url BASE]

Writes pulse-VERSION.tar.gz (what git tracks, at the state of the work tree), pulse.wrap for the `subprojects` folder of a Meson project, and
pulse.hpp, the single header. The wrap fetches the archive from BASE; without one, Meson takes it from subprojects/packagefiles. The same tree
gives the same bytes."""
import argparse
import gzip
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import tarfile

options = argparse.ArgumentParser()
options.add_argument("root", type=pathlib.Path)
options.add_argument("out", type=pathlib.Path)
options.add_argument("--url", help="the address of the folder that the archive will be in")
given = options.parse_args()
version = re.search(r"version: '([^']+)'", (given.root / "meson.build").read_text())[1]
name = f"pulse-{version}"
given.out.mkdir(parents=True, exist_ok=True)

tracked = subprocess.run(["git", "ls-files", "-z"], cwd=given.root, capture_output=True, text=True, check=True).stdout.split("\0")
raw = io.BytesIO()
with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
    for path in sorted(p for p in tracked if p and (given.root / p).is_file()):
        data = (given.root / path).read_bytes()
        entry = tarfile.TarInfo(f"{name}/{path}")
        entry.size = len(data)
        entry.mode = 0o755 if (given.root / path).stat().st_mode & 0o100 else 0o644
        archive.addfile(entry, io.BytesIO(data))
packed = gzip.compress(raw.getvalue(), mtime=0)
(given.out / f"{name}.tar.gz").write_bytes(packed)

address = f"source_url = {given.url.rstrip('/')}/{name}.tar.gz\n" if given.url else ""
(given.out / "pulse.wrap").write_text(f"""[wrap-file]
directory = {name}
{address}source_filename = {name}.tar.gz
source_hash = {hashlib.sha256(packed).hexdigest()}

[provide]
pulse = pulse_dep
""")

amalgamate = pathlib.Path(__file__).parent / "amalgamate.py"
(given.out / "pulse.hpp").write_text(subprocess.run([sys.executable, amalgamate, given.root], capture_output=True, text=True, check=True).stdout)
