"""May this tree be released?  See docs/release.md; `make release-check` asks.

    release_check.py TREE            version, NEWS, header, manual pages, packages, tag, a clean tree
    release_check.py TREE ARCHIVE    nothing is missing in it, and it builds a program of that version

Each line is something to mend; the exit code is 0 where there is none.  SPDX-License-Identifier: Apache-2.0
"""
import datetime
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

NOT_IN_THE_ARCHIVE = (".gitignore", "debian/")  # what distributors put beside it


def git(tree, *arguments):
    return subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=True).stdout


def version_of(tree):
    found = re.search(r"^AC_INIT\(\[awsflock\], \[([^]]*)\]\)", (tree / "configure.ac").read_text(), re.M)
    return found.group(1) if found else ""


def as_numbers(version):
    return tuple(int(part) for part in version.split("."))


def is_version(text):
    return re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text) is not None


def check_version(version):
    if not is_version(version):
        yield f"configure.ac: '{version}' is not MAJOR.MINOR.PATCH"


def check_news(tree, version):
    first, _, rest = (tree / "NEWS").read_text().partition("\n")
    if first != f"awsflock {version}":
        yield f"NEWS: its first line is '{first}', not 'awsflock {version}'"
    elif not re.match(r"\n  \S", rest):
        yield f"NEWS: nothing is told of {version}"


def check_header(tree, version):
    """Whatever the header says of the version, in numbers or in a text."""
    header = (tree / "include" / "awsflock.h").read_text()
    parts = re.findall(r"^#define AWSFLOCK_VERSION_(MAJOR|MINOR|PATCH) (\d+)", header, re.M)
    texts = re.findall(r'^#define AWSFLOCK_VERSION_\w+ "([^"]*)"', header, re.M)
    if parts:
        texts.append(".".join(number for _, number in parts))
    yield from (f"include/awsflock.h: it says {text}, not {version}" for text in texts if text != version)


def manuals_of(tree):
    return [name for name in git(tree, "ls-files").splitlines() if re.search(r"\.[1-8](\.in)?$", name)]


def check_manuals(tree):
    for name in manuals_of(tree):
        told = re.search(r"^\.Dd (.*)$", (tree / name).read_text(), re.M)
        changed = datetime.date.fromisoformat(git(tree, "log", "-1", "--format=%cs", "--", name).strip())
        try:
            date = datetime.datetime.strptime(told.group(1), "%B %d, %Y").date()
        except (AttributeError, ValueError):
            yield f"{name}: it has no date such as '.Dd {changed:%B} {changed.day}, {changed.year}'"
            continue
        if date < changed:
            yield f"{name}: .Dd says {date}, its last change is of {changed}"


def check_packages(tree, version):
    changelog = tree / "debian" / "changelog"
    first = changelog.read_text().partition("\n")[0] if changelog.exists() else ""
    if not first.startswith(f"awsflock ({version}-"):
        yield f"debian/changelog: its first line is '{first}', not 'awsflock ({version}-1) ...'"
    spec = tree / "packaging" / "awsflock.spec"
    text = spec.read_text() if spec.exists() else ""
    for what, pattern in (("Version", r"^Version: (.*)$"), ("newest entry", r"^%changelog\n\* .* - (.*)-\d+$")):
        found = re.search(pattern, text, re.M)
        if not found or found.group(1) != version:
            yield f"packaging/awsflock.spec: its {what} is of '{found.group(1) if found else ''}', not of {version}"


def check_tags(tree, version):
    here = git(tree, "tag", "--points-at", "HEAD").split()
    yield from (f"tag {tag}: this tree is {version}, so its tag is v{version}" for tag in here if tag != f"v{version}")
    for tag in git(tree, "tag").split():
        if tag in here:
            continue
        if not (tag.startswith("v") and is_version(tag[1:])):
            yield f"tag {tag}: it is not v and a version"
        elif is_version(version) and as_numbers(tag[1:]) >= as_numbers(version):
            yield f"tag {tag} is there already: {version} must be above it"


def check_clean(tree):
    changed = git(tree, "status", "--porcelain").splitlines()
    yield from (f"not committed: {line}" for line in changed)


def check_tree(tree):
    version = version_of(tree)
    for check in (check_version(version), check_news(tree, version), check_header(tree, version), check_manuals(tree),
                  check_packages(tree, version), check_tags(tree, version), check_clean(tree)):
        yield from check


def check_contents(tree, archive, version):
    prefix = f"awsflock-{version}/"
    with tarfile.open(archive) as tar:
        names = set(tar.getnames())
    for name in git(tree, "ls-files").splitlines():
        if not name.startswith(NOT_IN_THE_ARCHIVE) and prefix + name not in names:
            yield f"missing in the archive: {name}"


def build(archive, version, directory):
    """What comes of it as its users build it; their environment, not that of the make that asks."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    steps = f"tar xf '{archive}' && cd 'awsflock-{version}' && ./configure -q && make -s -j{os.cpu_count()} && ./awsflock version"
    done = subprocess.run(steps, shell=True, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        yield f"what the archive holds does not build:\n{done.stderr[-2000:]}"
    elif version not in done.stdout.split():
        yield f"what the archive builds says '{done.stdout.strip()}', not {version}"


def check_archive(tree, archive):
    version = version_of(tree)
    yield from check_contents(tree, archive, version)
    with tempfile.TemporaryDirectory() as directory:
        yield from build(archive, version, directory)


def main(arguments):
    tree = pathlib.Path(arguments[0]).resolve()
    if not (tree / ".git").exists():
        print("release-check: this is no clone of the repository: releases are made from one", file=sys.stderr)
        return 1
    found = list(check_archive(tree, pathlib.Path(arguments[1]).resolve()) if len(arguments) > 1 else check_tree(tree))
    for line in found:
        print(f"release-check: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
