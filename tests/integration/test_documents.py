"""What the documents name is there: files, folders, make's targets, tests, manual pages, settings.

SPDX-License-Identifier: Apache-2.0
"""
import importlib
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = [SOURCE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md")] + sorted(
    SOURCE.glob("docs/*.md"))
MANUALS = sorted([*SOURCE.glob("src/**/*.[1-8]"), *SOURCE.glob("etc/*.[1-8]"),
                  *SOURCE.glob("src/**/*.[1-8].in"), *SOURCE.glob("etc/*.[1-8].in"), *SOURCE.glob("pam/*.[1-8].in"),
                  *SOURCE.glob("sudo/*.[1-8].in")])
FOLDERS = "include|src|pam|etc|docs|tests"
# What check and check-static do.
PARTS_OF_TARGETS = {"check-without-cmocka", "test-environment", "check-cppcheck", "check-clang-tidy", "check-gcc-analyzer",
                    "check-memcheck", "install-user", "remove-sudo-plugin", "remove-sudo-plugins-archive"}
# What automake makes by itself.
STANDARD_TARGETS = {"all", "check", "clean", "dist", "distcheck", "distclean", "install", "installcheck", "uninstall"}


def name_of(document):
    return str(document.relative_to(SOURCE))


def code_of(document):
    """Everything in a document that stands in backticks or in a block of code."""
    text = document.read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.S | re.M) + re.findall(r"^ {4}(\S.*)$", text, re.M)
    return blocks + re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M))


def paths_of(document):
    """The files and folders that it names in code, by how they begin; NAME and * stand for something."""
    found = set()
    for code in code_of(document):
        found.update(re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./*-]*)", code))
    return {path.rstrip(".") for path in found if "NAME" not in path}


class Documents(unittest.TestCase):
    def test_every_link_leads_to_a_file(self):
        for document in DOCUMENTS:
            links = [link for link in re.findall(r"\]\(([^)#\s]+)", document.read_text()) if "://" not in link]
            with self.subTest(name_of(document)):
                self.assertEqual([link for link in links if not (document.parent / link).exists()], [])

    def test_every_document_can_be_reached_from_the_readme(self):
        reached, ahead = set(), [SOURCE / "README.md"]
        while ahead:
            document = ahead.pop()
            reached.add(document)
            links = re.findall(r"\]\(([^)#\s]+\.md)", document.read_text())
            ahead += {(document.parent / link).resolve() for link in links if "://" not in link} - reached
        self.assertEqual(reached, set(DOCUMENTS))

    @staticmethod
    def is_there(root, path):
        """A file or folder; or a program that make builds of one."""
        return any(root.glob(path)) or any(root.glob(path.rstrip("/") + ".c"))

    def test_every_path_is_there(self):
        self.assertIn("src/keeper/", paths_of(SOURCE / "README.md"))
        for document in DOCUMENTS:
            # tests/README.md speaks of what stands beside it.
            roots = (SOURCE, document.parent)
            with self.subTest(name_of(document)):
                missing = [path for path in paths_of(document) if not any(self.is_there(root, path) for root in roots)]
                self.assertEqual(missing, [])

    def test_every_room_is_in_the_map(self):
        readme = (SOURCE / "README.md").read_text()
        rooms = {f"{folder.parent.name}/{folder.name}/" for folder in SOURCE.glob("src/*") if folder.is_dir()}
        self.assertEqual({room for room in rooms if f"| `{room}` |" not in readme}, set())
        for inner in SOURCE.glob("src/*/*"):
            if inner.is_dir() and any(inner.glob("*.c")):
                row = re.search(rf"^\| `src/{inner.parent.name}/` \|.*$", readme, re.M).group()
                self.assertIn(f"`{inner.name}/`", row)

    def test_the_guards_recipe_is_where_the_virtual_machine_takes_it_from(self):
        sys.path.insert(0, str(SOURCE / "tests" / "vm"))
        image = importlib.import_module("image")
        self.assertIn("make install", image.recipe((SOURCE / "README.md").read_text(encoding="utf-8")))

    def test_every_target_of_make_is_there(self):
        makefiles = "".join(file.read_text() for file in [SOURCE / "Makefile.am", *SOURCE.glob("**/Makemodule.am")])
        rules = re.findall(r"^([a-z][\w -]*):(?!=)", makefiles, re.M)
        targets = STANDARD_TARGETS | {word for line in rules for word in line.split()}
        for document in DOCUMENTS:
            named = set()
            for code in code_of(document):
                for words in re.findall(r"\bmake((?: +-C \S+| +[\w-]+(?:=\S+)?)+)", code):
                    words = re.sub(r"(?<!\S)-C \S+|(?<!\S)-\w+|\S+=\S+", "", words)
                    named.update(words.split())
            if document.name == "CONTRIBUTING.md":
                rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| [^|]+ \|$", document.read_text(), re.M)
                self.assertGreater(len(rows), 10)
                named.update(re.findall(r"[a-z-]+", " ".join(rows)))
            with self.subTest(name_of(document)):
                self.assertEqual(named - targets, set())

    def test_every_target_of_ours_is_told(self):
        makefiles = "".join(file.read_text() for file in SOURCE.glob("**/Makemodule.am")).replace("\\\n", " ")
        ours = {word for line in re.findall(r"^\.PHONY:(.*)$", makefiles, re.M) for word in line.split()}
        rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|", (SOURCE / "CONTRIBUTING.md").read_text(), re.M)
        self.assertIn("check-fuzz", ours)
        self.assertEqual(ours - PARTS_OF_TARGETS - set(re.findall(r"[a-z-]+", " ".join(rows))), set())

    def test_every_mutant_is_there(self):
        protocol = (SOURCE / "docs" / "protocol.md").read_text()
        table = protocol.split("| a rule, and what happens without it | model | simulation |\n")[1].split("\n\n")[0]
        cells = [row.split("|")[2:4] for row in table.splitlines()[1:]]
        of_the_model = set(re.findall(r"`(\w+)`", " ".join(model for model, _ in cells)))
        of_the_simulation = set(re.findall(r"`([\w-]+)`", " ".join(simulation for _, simulation in cells)))
        known = set(re.findall(r'^    \("([A-Z_]+)", "', (SOURCE / "tests/model/run.py").read_text(), re.M))
        self.assertEqual((len(known) > 20, of_the_model - known), (True, set()))
        patches = {patch.stem for patch in SOURCE.glob("tests/sim/mutants/*.patch")}
        self.assertEqual(of_the_simulation - patches, set())

    def test_every_folder_of_tests_is_told(self):
        text = (SOURCE / "tests" / "README.md").read_text()
        folders = {folder.name for folder in SOURCE.glob("tests/*") if folder.is_dir() and any(folder.glob("*.*"))}
        self.assertEqual({folder for folder in folders if f"`{folder}/" not in text}, set())

    def test_every_name_of_the_sources_is_there(self):
        words = set()
        for file in [*SOURCE.glob("[a-z]*/**/*.[ch]"), *SOURCE.glob("tests/**/*.py"), *SOURCE.glob("tests/**/*.pml"),
                     *SOURCE.glob("**/Makemodule.am"), *MANUALS]:
            words.update(re.findall(r"\w+", file.read_text(errors="replace")))
        for document in DOCUMENTS:
            named = {name for code in code_of(document)
                     for name in re.findall(r"^(?:struct |enum )?([A-Za-z]\w*_\w+)(?:\(\))?$", code)}
            with self.subTest(name_of(document)):
                self.assertEqual(named - words - {"cmd_NAME"}, set())

    def test_every_test_that_is_named_is_there(self):
        for document in DOCUMENTS:
            named = {name for code in code_of(document) for name in re.findall(r"\b(test_\w+)(?![\w./*-])", code)}
            known = {file.stem for file in SOURCE.glob("tests/*/test_*")}
            with self.subTest(name_of(document)):
                self.assertEqual(named - known, set())


class Comments(unittest.TestCase):
    def test_every_file_that_a_comment_names_is_there(self):
        files = [file for room in ("include", "src", "pam", "sudo", "tests") for file in SOURCE.glob(f"{room}/**/*.[ch]")]
        names = {str(file.relative_to(SOURCE)) for file in files}
        self.assertGreater(len(names), 200)
        missing = set()
        for file in files:
            for comment in re.findall(r"/\*.*?\*/", file.read_text(), re.S):
                for name in re.findall(r"(?<![\w/*<.-])((?:[a-z_]+/)*[a-z_0-9]+\.[ch])\b", comment):
                    if not any(known == name or known.endswith("/" + name) for known in names):
                        missing.add((str(file.relative_to(SOURCE)), name))
        self.assertEqual(missing, set())


class Manuals(unittest.TestCase):
    def texts(self):
        return {re.search(r"^\.Dt (\S+) (\d)$", page.read_text(), re.M).group(1, 2): page.read_text() for page in MANUALS}

    def test_every_page_is_named_by_another_and_names_those_that_are_there(self):
        texts = self.texts()
        self.assertIn(("AWSFLOCK-TABLE", "5"), texts)
        told = set()
        for page, text in texts.items():
            own = {(name.upper(), section) for name, section in re.findall(r"\.Xr (\S*awsflock\S*) (\d)", text)}
            with self.subTest(page):
                self.assertEqual(own - set(texts), set())
            told |= own - {page}
        self.assertEqual(set(texts) - told, set())

    def test_see_also_has_every_page_of_ours_that_the_text_names(self):
        for page, text in self.texts().items():
            body, _, rest = text.partition(".Sh SEE ALSO\n")
            see_also = rest.split("\n.Sh ")[0]
            pattern = r"\.Xr (\S*awsflock\S*) (\d)"
            with self.subTest(page):
                named = set(re.findall(pattern, body)) - {(page[0].lower(), page[1])}
                self.assertEqual(named - set(re.findall(pattern, see_also)), set())

    def test_see_also_is_in_order(self):
        for page, text in self.texts().items():
            see_also = text.partition(".Sh SEE ALSO\n")[2].split("\n.Sh ")[0]
            names = re.findall(r"^\.Xr (\S+) (\d)( ,)?$", see_also, re.M)
            with self.subTest(page):
                self.assertEqual(names, sorted(names, key=lambda name: (name[1], name[0].lower())))
                self.assertEqual([comma for _, _, comma in names], [" ,"] * (len(names) - 1) + [""])

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_mandoc_finds_nothing_to_warn_of(self):
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *map(str, MANUALS)], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_every_setting_of_the_source_is_told(self):
        page = (SOURCE / "etc" / "awsflock.conf.5.in").read_text()
        told = {key for line in re.findall(r"(?m)^\.It Ic (.+)$", page) for key in line.split(" , ")}
        settings = set(re.findall(r'^\t\[CONFIG_\w+\] = \{ "(\w+)"', (SOURCE / "src/base/config.c").read_text(), re.M))
        of_a_guard = set(re.findall(r'^\t\{ "(\w+)", KIND_', (SOURCE / "src/guard/guard.c").read_text(), re.M))
        self.assertTrue({"table", "region"} <= settings and {"lock", "lease"} <= of_a_guard)
        self.assertEqual((settings | of_a_guard) - told, set())

    def test_every_argument_of_the_pam_line_is_told(self):
        page = (SOURCE / "pam" / "pam_awsflock.8.in").read_text()
        known = set(re.findall(r"^\t\{ \"(\w+)\", OPTION_\w+,", (SOURCE / "src/guard/module_options.c").read_text(), re.M))
        told = set(re.findall(r"^\.It Cm (\w+)", page, re.M))
        self.assertIn("guard", known)
        self.assertEqual(known, told)

    def test_every_word_of_the_sudo_plugins_line_is_told(self):
        page = (SOURCE / "sudo" / "awsflock_sudo.8.in").read_text()
        known = set(re.findall(r"^\t\{ \"(\w+)\", OPTION_\w+,", (SOURCE / "src/guard/sudo_rules.c").read_text(), re.M))
        told = set(re.findall(r"^\.It Cm (\w+)", page, re.M))
        self.assertTrue({"guard", "conf"} <= known)
        self.assertEqual(known - {"guard"}, told)


if __name__ == "__main__":
    unittest.main()
