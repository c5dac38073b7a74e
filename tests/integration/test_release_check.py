"""A tree that must not be released is told so, each mistake by its name.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pathlib
import subprocess
import tarfile
import tempfile
import unittest

import release_check

NEWS = "awsflock 1.2.0\n\n  New: something.\n"
HEADER = '#define AWSFLOCK_VERSION_MAJOR 1\n#define AWSFLOCK_VERSION_MINOR 2\n#define AWSFLOCK_VERSION_PATCH 0\n'
CHANGELOG = "awsflock (1.2.0-1) unstable; urgency=medium\n"
SPEC = "Version: 1.2.0\n\n%changelog\n* Fri Nov 20 2026 a <a@example.org> - 1.2.0-1\n- Something.\n"
MANUAL = ".Dd November 20, 2026\n.Dt AWSFLOCK 1\n"


class ReleaseCheck(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.tree = pathlib.Path(scratch.name) / "tree"
        self.git("init", "-q", str(self.tree), at=scratch.name)
        self.write("configure.ac", "AC_INIT([awsflock], [1.2.0])\n")
        self.write("NEWS", NEWS)
        self.write("include/awsflock.h", HEADER)
        self.write("awsflock.1.in", MANUAL)
        self.write("debian/changelog", CHANGELOG)
        self.write("packaging/awsflock.spec", SPEC)
        self.commit()

    def git(self, *arguments, at=None):
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
                       "GIT_COMMITTER_DATE": "2026-11-20T12:00:00Z"}
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments], cwd=at or self.tree,
                       check=True, capture_output=True, env=environment)

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "Change something")

    def assertFound(self, *words):
        """One thing is wrong, and it is this."""
        found = list(release_check.check_tree(self.tree))
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def test_a_tree_in_order_may_be_released(self):
        self.assertEqual(list(release_check.check_tree(self.tree)), [])

    def test_news_of_another_version(self):
        self.write("NEWS", NEWS.replace("1.2.0", "1.1.0"))
        self.commit()
        self.assertFound("NEWS", "awsflock 1.1.0")

    def test_news_that_tells_nothing(self):
        self.write("NEWS", "awsflock 1.2.0\n")
        self.commit()
        self.assertFound("NEWS", "nothing")

    def test_packages_of_another_version(self):
        self.write("debian/changelog", CHANGELOG.replace("1.2.0-1", "1.2.01-1"))
        self.commit()
        self.assertFound("debian/changelog", "1.2.01-1")

    def test_a_spec_of_another_version(self):
        self.write("packaging/awsflock.spec", SPEC.replace("Version: 1.2.0", "Version: 1.1.0"))
        self.commit()
        self.assertFound("packaging/awsflock.spec", "its Version is of '1.1.0'")

    def test_a_spec_whose_newest_entry_is_of_another_version(self):
        self.write("packaging/awsflock.spec", SPEC.replace("1.2.0-1", "1.1.0-1"))
        self.commit()
        self.assertFound("packaging/awsflock.spec", "its newest entry is of '1.1.0'")

    def test_a_header_of_another_version(self):
        self.write("include/awsflock.h", HEADER.replace("MINOR 2", "MINOR 1"))
        self.commit()
        self.assertFound("awsflock.h", "1.1.0")

    def test_a_manual_page_older_than_its_last_change(self):
        self.write("awsflock.1.in", MANUAL.replace("20", "19", 1))
        self.commit()
        self.assertFound("awsflock.1.in", "2026-11-19", "2026-11-20")

    def test_a_manual_page_without_a_date(self):
        self.write("awsflock.1.in", ".Dd today\n")
        self.commit()
        self.assertFound("awsflock.1.in", ".Dd November 20, 2026")

    def test_a_version_that_is_none(self):
        self.write("configure.ac", "AC_INIT([awsflock], [1.2])\n")
        self.write("NEWS", NEWS.replace("1.2.0", "1.2"))
        self.write("include/awsflock.h", "")
        self.write("debian/changelog", CHANGELOG.replace("1.2.0", "1.2"))
        self.write("packaging/awsflock.spec", SPEC.replace("1.2.0", "1.2"))
        self.commit()
        self.assertFound("configure.ac", "'1.2'")

    def test_the_right_tag_here_is_in_order(self):
        self.git("tag", "v1.1.9")
        self.write("another", "")
        self.commit()
        self.git("tag", "-d", "v1.1.9")
        self.git("tag", "v1.1.9", "HEAD~1")
        self.git("tag", "v1.2.0")
        self.assertEqual(list(release_check.check_tree(self.tree)), [])

    def test_a_tag_here_of_another_form(self):
        self.git("tag", "1.2.0")
        self.assertFound("tag 1.2.0", "v1.2.0")

    def test_a_version_that_was_released_before(self):
        self.git("tag", "v1.2.0")
        self.write("another", "")
        self.commit()
        self.assertFound("v1.2.0", "there already")

    def test_a_version_below_an_earlier_one_by_its_numbers(self):
        self.git("tag", "v1.10.0")
        self.write("another", "")
        self.commit()
        self.assertFound("v1.10.0")

    def test_a_file_that_is_not_committed(self):
        self.write("another", "")
        self.assertFound("not committed", "another")

    def test_a_file_that_the_archive_lacks(self):
        archive = self.tree.parent / "awsflock-1.2.0.tar.xz"
        with tarfile.open(archive, "w:xz") as tar:
            for name in ("configure.ac", "NEWS", "awsflock.1.in", "packaging/awsflock.spec"):
                tar.add(self.tree / name, f"awsflock-1.2.0/{name}")
        self.assertEqual(list(release_check.check_contents(self.tree, archive, "1.2.0")),
                         ["missing in the archive: include/awsflock.h"])

    def test_an_archive_that_does_not_build(self):
        archive = self.tree.parent / "awsflock-1.2.0.tar.xz"
        with tarfile.open(archive, "w:xz") as tar:
            tar.add(self.tree / "NEWS", "awsflock-1.2.0/NEWS")
        [found] = release_check.build(archive, "1.2.0", self.tree.parent)
        self.assertIn("does not build", found)


if __name__ == "__main__":
    unittest.main()
