"""Debian's packages as `make deb` made them, and the same under another version.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import re
import subprocess
import tempfile

PACKAGES = pathlib.Path(os.environ["AWSFLOCK_PACKAGES"])


def archives(directory=PACKAGES):
    """The packages in DIRECTORY by their names, without those for debuggers."""
    return {path.name.partition("_")[0]: path for path in directory.glob("*.deb") if "-dbgsym_" not in path.name}


def another_version(version, directory, names=None):
    """The same files under another VERSION, of all packages or of NAMES: their names in DIRECTORY."""
    made = []
    for name, path in archives().items():
        if names is not None and name not in names:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["dpkg-deb", "-R", str(path), f"{scratch}/it"], check=True)
            control = pathlib.Path(scratch, "it/DEBIAN/control")
            text = control.read_text(encoding="utf-8")
            old = re.search(r"^Version: (.*)$", text, re.M).group(1)
            control.write_text(text.replace(f"Version: {old}", f"Version: {version}").replace(f"(= {old})", f"(= {version})"),
                               encoding="utf-8")
            target = pathlib.Path(directory, f"{name}_{version}.deb")
            subprocess.run(["dpkg-deb", "--root-owner-group", "-b", f"{scratch}/it", str(target)], check=True,
                           stdout=subprocess.DEVNULL)
        made.append(target.name)
    return made
