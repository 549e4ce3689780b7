#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gates of the ABI, each proved by a contract that was changed: abi_test.py CLASS…
TENON_SOURCE_DIR names the sources; TENON_ANCHOR the built anchor library."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["TENON_SOURCE_DIR"])
INCLUDE, BASELINE = SOURCE / "sdk/include", SOURCE / "sdk/abi-baseline"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
COMPILERS = [["gcc", "-std=c11", "-xc"], ["gcc", "-std=c17", "-xc"], ["clang", "-std=c11", "-xc"],
             ["clang", "-std=c17", "-xc"], ["g++", "-std=c++17", "-xc++"], ["g++", "-std=c++20", "-xc++"],
             ["g++", "-std=c++23", "-xc++"], ["clang++", "-std=c++17", "-xc++"], ["clang++", "-std=c++20", "-xc++"],
             ["clang++", "-std=c++2b", "-xc++"]]

# name: (header, pattern, replacement, what the refusal names)
BREAKS = {
    "a reordered slot": ("host.h", r"\(\*now_ns\)(.*?)\(\*now_real_ns\)", r"(*now_real_ns)\1(*now_ns)",
                         r"tenon_clock_1\.now_ns"),
    "a slot with another result": ("host.h", r"int64_t \(\*now_ns\)", "uint64_t (*now_ns)", r"tenon_clock_1\.now_ns"),
    "a slot with another parameter": ("probe.h", r"uint32_t deep", "uint64_t deep", r"tenon_probe_1\.check"),
    "a slot with one parameter more": ("auth.h", r"(\(\*identify\)\(void\* self,)", r"\1 uint32_t why,",
                                       r"tenon_auth_1\.identify"),
    "a removed slot": ("host.h", r"uint32_t \(\*ready\)\(void\* self\);", "", r"tenon_health_1.*ready|ready.*tenon_health_1"),
    "a slot put into the middle": ("host.h", r"(uint32_t \(\*enabled\))", r"void (*extra)(void* self); \1",
                                   r"tenon_log_1\.enabled"),
    "a renamed slot": ("host.h", r"\(\*turn_now_ns\)", "(*turn_ns)", r"tenon_exec_1.*turn_now_ns|turn_now_ns.*tenon_exec_1"),
    "a struct without a size that grew": ("feed.h", r"int64_t price, quantity; } tenon_level;",
                                     "int64_t price, quantity, count; } tenon_level;", r"tenon_level"),
    "a member with another type": ("base.h", r"int32_t  code;", "uint32_t code;", r"tenon_err\.code"),
    "a longer array": ("base.h", r"msg\[496\]", "msg[1008]", r"tenon_err\.msg"),
    "a constant with another value": ("base.h", r"#define TENON_TIMEOUT +\(-5\)", "#define TENON_TIMEOUT (-11)",
                                      r"TENON_TIMEOUT"),
    "a constant of another type": ("base.h", r"#define TENON_ERR_RETRYABLE 1u", "#define TENON_ERR_RETRYABLE 1",
                                   r"TENON_ERR_RETRYABLE"),
    "a text with another value": ("base.h", r'"tenon_plugin_entry_v1"', '"tenon_plugin_entry_v2"', r"TENON_ENTRY_SYMBOL"),
    "a name for another type": ("base.h", r"typedef int32_t tenon_status;", "typedef int64_t tenon_status;", r"tenon_status"),
    "a callback with another parameter": ("host.h", r"\(\*tenon_fd_fn\)\(void\* ctx, uint32_t ready\)",
                                          "(*tenon_fd_fn)(void* ctx, uint64_t ready)", r"tenon_fd_fn"),
}
# abidiff sees types only.
NO_TYPES = {"a constant with another value", "a constant of another type", "a text with another value"}
APPEND = ("host.h", r"(\(\*now_real_ns\)\(void\* self\);.*?)(\n\} tenon_clock_1;)", r"\1\n    int64_t (*extra)(void* self);\2")


class Case(unittest.TestCase):
    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.scratch)
        self.baseline = self.scratch / "baseline"
        self.baseline.mkdir()
        for name in ("layout_lock.c", "anchor.c"):
            shutil.copy(BASELINE / name, self.baseline)

    def changed(self, header, pattern, replacement):
        """A copy of the contracts with one change."""
        include = self.scratch / "include"
        shutil.rmtree(include, ignore_errors=True)
        shutil.copytree(INCLUDE / "tenon/abi", include / "tenon/abi")
        path = include / "tenon/abi" / header
        text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.S)
        self.assertEqual(count, 1, f"the change does not fit {header} any more: {pattern}")
        path.write_text(text)
        return include

    def abi(self, *words, include=INCLUDE, repository=None):
        command = [str(SOURCE / "tools/abi"), *map(str, words), "--include", str(include), "--baseline", str(self.baseline),
                   "--repository", str(repository or self.scratch)]
        return subprocess.run(command, capture_output=True, text=True)

    def accepts(self, *words, **options):
        done = self.abi(*words, **options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def refuses(self, names, *words, **options):
        done = self.abi(*words, **options)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, names)

    def breaks(self):
        for name, (header, pattern, replacement, names) in BREAKS.items():
            yield name, self.changed(header, pattern, replacement), names

    def compiled(self, compiler, include):
        return subprocess.run([*compiler, *WARNINGS, f"-I{include}", "-fsyntax-only", str(BASELINE / "layout_lock.c")],
                              capture_output=True, text=True)


class Lock(Case):
    def test_it_compiles_with_every_compiler_as_c_and_as_cpp(self):
        for compiler in COMPILERS:
            with self.subTest(" ".join(compiler)):
                done = self.compiled(compiler, INCLUDE)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_member_and_constant_is_locked(self):
        done = subprocess.run([str(SOURCE / "tools/abi"), "check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_released_struct_is_a_prefix_of_todays(self):
        done = subprocess.run([str(SOURCE / "tools/abi"), "prefix"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_breaking_change_does_not_compile_and_the_slot_is_named(self):
        for name, include, names in self.breaks():
            for compiler in (COMPILERS[0], COMPILERS[2], COMPILERS[5], COMPILERS[8]):
                with self.subTest(name, compiler=compiler):
                    done = self.compiled(compiler, include)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertRegex(done.stderr, names)

    def test_an_appended_slot_compiles_and_has_to_be_locked(self):
        include = self.changed(*APPEND)
        for compiler in COMPILERS:
            self.assertEqual(self.compiled(compiler, include).returncode, 0)
        self.refuses(r"tenon_clock_1\.extra \(host\.h\) is not locked: run tools/abi lock", "check", include=include)
        before = (self.baseline / "layout_lock.c").read_text()
        self.assertIn("1 of them new", self.accepts("lock", include=include))
        after = (self.baseline / "layout_lock.c").read_text()
        self.assertTrue(after.startswith(before))
        self.accepts("check", include=include)

    def test_a_new_contract_has_to_be_locked(self):
        include = self.changed("base.h", r"\A", "")
        (include / "tenon/abi/extra.h").write_text(
            '#include "base.h"\n#define TENON_EXTRA 3u\ntypedef struct tenon_extra_1 {\n    uint32_t size, flags;\n'
            "    void (*go)(void* self);\n} tenon_extra_1;\n")
        self.refuses(r"tenon_extra_1\.go(.|\n)*anchor", "check", include=include)
        self.accepts("lock", include=include)
        self.accepts("check", include=include)

    def test_a_hidden_member_at_the_end_is_refused(self):
        include = self.changed("host.h", r"(\(\*now_real_ns\)\(void\* self\);.*?)(\n\} tenon_clock_1;)",
                               r"\1\n    uint32_t extra;\2")
        self.accepts("lock", include=include)
        self.refuses(r"tenon_clock_1 ends with 4 bytes of padding", "check", include=include)

    def test_a_released_line_is_neither_edited_nor_taken_out(self):
        self.accepts("release", "7.0")
        path = self.baseline / "layout_lock.c"
        good = path.read_text()
        line = next(row for row in good.splitlines() if row.startswith("MEMBER(tenon_clock_1, now_ns"))
        path.write_text(good.replace(line + "\n", ""))
        self.refuses(r"tenon_clock_1\.now_ns: its line in the lock of release 7\.0 was taken out or changed", "check")
        path.write_text(good.replace(line, line.replace("int64_t", "uint64_t")))
        self.refuses(r"tenon_clock_1\.now_ns: its line in the lock of release 7\.0 was taken out or changed", "check")
        path.write_text(good.replace(line + "\n", "") + line + "\n")
        self.refuses(r"release 7\.0 has moved", "check")
        path.write_text(good)
        self.accepts("check")
        # Not even --fresh touches what was released.
        self.accepts("lock", "--fresh", include=self.changed(*APPEND))
        self.assertTrue(path.read_text().startswith(good))
        self.refuses("never rewritten", "release", "7.0")


class Prefix(Case):
    def test_a_breaking_change_is_named(self):
        self.accepts("release", "7.0")
        for name, include, names in self.breaks():
            with self.subTest(name):
                self.refuses(names, "prefix", include=include)

    def test_an_appended_slot_passes(self):
        self.accepts("release", "7.0")
        include = self.changed(*APPEND)
        self.assertIn("compared with 7.0", self.accepts("prefix", include=include))
        self.accepts("lock", include=include)
        self.accepts("release", "7.1", include=include)
        self.refuses(r"tenon_clock_1\.extra of release 7\.1 is gone", "prefix")

    def test_tags_are_compared_too(self):
        def git(*words):
            subprocess.run(["git", "-C", str(self.scratch), "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
                           check=True, capture_output=True)
        git("init")
        shutil.copytree(INCLUDE / "tenon/abi", self.scratch / "sdk/include/tenon/abi")
        git("add", "sdk")
        git("commit", "-m", "release")
        git("tag", "v7.0.0")
        self.assertIn("compared with v7.0.0", self.accepts("prefix"))
        for name, include, names in self.breaks():
            with self.subTest(name):
                self.refuses(names, "prefix", include=include)


class Diff(Case):
    def anchor(self, include, *flags):
        library = self.scratch / "libtenon_abi_anchor.so"
        subprocess.run(["cc", "-std=c11", *(flags or ["-g"]), "-shared", "-fPIC", f"-I{include}",
                        f"-Wl,-soname,{library.name}", str(self.baseline / "anchor.c"), "-o", str(library)], check=True)
        return library

    def test_the_built_anchor_is_as_released(self):
        if not list(BASELINE.glob("*/anchor.abi")):
            self.skipTest("no release is kept yet")
        done = subprocess.run([str(SOURCE / "tools/abi"), "diff", os.environ["TENON_ANCHOR"]], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_change_of_a_type_is_reported(self):
        self.accepts("release", "7.0")
        self.accepts("diff", self.anchor(INCLUDE))
        for name, include, _ in self.breaks():
            with self.subTest(name):
                if name not in NO_TYPES:
                    self.refuses("abidiff against 7.0 gave", "diff", self.anchor(include))

    def test_an_appended_slot_is_reported_until_a_release_keeps_it(self):
        self.accepts("release", "7.0")
        include = self.changed(*APPEND)
        self.refuses("tenon_clock_1(.|\n)*extra", "diff", self.anchor(include))
        self.accepts("lock", include=include)
        self.accepts("release", "7.1", include=include)
        self.accepts("diff", self.anchor(include))

    def test_a_library_without_debug_information_is_refused(self):
        self.accepts("release", "7.0")
        self.refuses(r"has no DWARF", "diff", self.anchor(INCLUDE, "-g0"))


if __name__ == "__main__":
    unittest.main()
