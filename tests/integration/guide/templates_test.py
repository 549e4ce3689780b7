#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every template builds without a warning from the installed SDK, passes its own test and
`tenon plugin check`: templates_test.py PREFIX [KIND…]"""
import json
import pathlib
import subprocess
import sys
import tempfile

prefix = pathlib.Path(sys.argv[1]).resolve()
templates = prefix / "share" / "tenon" / "templates"
kinds = sys.argv[2:] or sorted(p.name for p in (templates / "kinds").iterdir())


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


with tempfile.TemporaryDirectory(prefix="tenon-templates-") as temporary:
    folder = pathlib.Path(temporary)
    names = []
    for kind in kinds:
        for language, short in (("c", "c"), ("c++", "cpp")):
            names.append(f"a-{kind}-{short}")
            made = json.loads(run(prefix / "bin" / "tenon", "plugin", "new", kind, names[-1], "--language",
                                  language, "--json", cwd=folder))
            assert made["id"] == f"org.example.{names[-1]}", made
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(all LANGUAGES C CXX)\nenable_testing()\n" +
        "".join(f"add_subdirectory({name})\n" for name in names))
    run("cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}",
        "-DCMAKE_C_FLAGS=-Werror", "-DCMAKE_CXX_FLAGS=-Werror", "-DCMAKE_BUILD_TYPE=Debug")
    run("cmake", "--build", folder / "build", "-j2")
    tested = run("ctest", "--test-dir", folder / "build", "--output-on-failure", "-j2")
    print(tested)
    if f"tests failed out of {2 * len(names)}" not in tested:
        sys.exit(f"expected {2 * len(names)} tests")
    # A project also builds on its own, as somebody would.
    run("cmake", "-S", folder / names[0], "-B", folder / "alone", f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", folder / "alone")
print(f"templates: {len(names)} projects build and pass their tests")
