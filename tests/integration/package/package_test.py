# SPDX-License-Identifier: Apache-2.0
"""The Debian packages: made, complete, hardened, documented (K7).

usage: package_test.py SOURCE_DIR BUILD_DIR CPACK
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

CPACK = sys.argv.pop(3)
BUILD = pathlib.Path(sys.argv.pop(2))
SOURCE = pathlib.Path(sys.argv.pop(1))
PACKAGES = BUILD / "packages"
EXPOSURE_MAX = 15  # tenths


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def help_of(program, *words):
    return run(BUILD / "bin" / program, *words)


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(PACKAGES, ignore_errors=True)
        run(CPACK, "--config", BUILD / "CPackConfig.cmake", "-B", PACKAGES)
        cls.files = {}
        for deb in PACKAGES.glob("*.deb"):
            cls.files[deb.name.split("_")[0]] = deb

    def listing(self, name):
        lines = run("dpkg-deb", "-c", self.files[name]).splitlines()
        return {line.split()[5].lstrip("."): line.split()[:2] for line in lines}

    def field(self, name, what):
        return run("dpkg-deb", "-f", self.files[name], what)

    def test_there_are_two_and_nothing_of_one_is_in_the_other(self):
        self.assertEqual(set(self.files), {"tenon", "tenon-dev"})
        files = {name: {path for path, (mode, _) in self.listing(name).items() if mode[0] != "d"}
                 for name in self.files}
        self.assertEqual(files["tenon"] & files["tenon-dev"], set())
        for path in ("/usr/bin/tenond", "/usr/bin/tenon", "/usr/bin/tenon-plugin-check",
                     "/lib/systemd/system/tenon.service", "/etc/default/tenon",
                     "/usr/share/tenon/etc/deployments/conservative.json",
                     "/usr/share/man/man8/tenond.8.gz", "/usr/share/doc/tenon/copyright"):
            self.assertTrue({path, "/usr" + path} & files["tenon"], path)
        plugins = {path.parent.name for path in (BUILD / "plugins").glob("*/plugin.json")}
        packed = {path.split("/")[-2] for path in files["tenon"] if path.endswith("/plugin.json")}
        self.assertEqual(plugins, packed)
        for path in ("/usr/include/tenon/abi/base.h", "/usr/lib/cmake/Tenon/TenonConfig.cmake",
                     "/usr/lib/pkgconfig/tenon-sdk.pc"):
            self.assertIn(path, files["tenon-dev"])

    def test_what_the_programs_need_is_named(self):
        needed = self.field("tenon", "Depends")
        for library in ("libc6", "libssl3", "libsqlite3-0", "libpq5", "libsodium23", "libboost-json1.81.0"):
            self.assertIn(library, needed)
        version = self.field("tenon", "Version").strip()
        self.assertEqual(self.field("tenon-dev", "Depends").strip(), f"tenon (= {version})")

    def test_everything_belongs_to_root_and_nothing_is_open_to_others(self):
        for name in self.files:
            for path, (mode, owner) in self.listing(name).items():
                self.assertEqual(owner, "root/root", path)
                self.assertNotIn("w", mode[4:], path)
                self.assertNotIn("s", mode, path)

    def test_the_unit_is_sound_and_hardened(self):
        unit = SOURCE / "etc/systemd/tenon.service"
        said = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", unit)
        print(said.strip().splitlines()[-1])

    def test_manual_pages_name_every_command_and_option(self):
        pages = SOURCE / "docs/man"
        for page in pages.iterdir():
            done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True,
                                  env={**os.environ, "LC_ALL": "C.UTF-8", "MANPAGER": "cat"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page)
        words = set(re.findall(r"^  ([a-z]+)", help_of("tenon", "help").split("Options")[0], re.M)) - {"tenon"}
        self.assertGreater(len(words), 10)
        text = (pages / "tenon.1").read_text()
        for word in words:
            self.assertRegex(text, rf"\.It Cm {word}\b")
        for program, page in (("tenond", "tenond.8"), ("tenon-plugin-check", "tenon-plugin-check.1")):
            text = (pages / page).read_text()
            for option in set(re.findall(r"--([a-z-]+)", help_of(program, "--help"))):
                self.assertIn(f"Fl -{option}", text, page)

    def complete(self, *words):
        script = ('. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tenon; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        path = f"{BUILD / 'bin'}:{os.environ['PATH']}"
        said = run("bash", "-c", script, "bash", SOURCE / "etc/completion/tenon.bash", "tenon", *words,
                   env={**os.environ, "PATH": path}, cwd=PACKAGES)
        return said.split()

    def test_completion_knows_the_commands(self):
        self.assertEqual(self.complete("keys", ""), ["addresses", "create", "list", "revoke"])
        self.assertEqual(self.complete("mig"), ["migrate"])
        self.assertIn("dry-run", self.complete("migrate", "d"))
        self.assertEqual(self.complete("load", "c"), ["compare"])
        self.assertEqual(self.complete("--js"), ["--json"])
        self.assertEqual(self.complete("nothing-like-it", ""), [])
        self.assertIn("restore", self.complete("archive", "re"))
        self.assertEqual(self.complete("backup", ""), ["cancel", "create", "drill", "list", "progress", "prune",
                                                       "restore", "status", "verify"])

    def test_completion_knows_the_options_of_a_command(self):
        self.assertEqual(self.complete("backup", "restore", "--to"), ["--to-time", "--to-order", "--to-sequence"])
        self.assertEqual(self.complete("archive", "query", "trades", "--f"), ["--from", "--format"])
        self.assertEqual(self.complete("backup", "prune", "--dr"), ["--dry-run"])
        self.assertEqual(self.complete("backup", "list", "--to"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
