#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gate over instruction counts passes what is the same, and fails what needs more.

usage: instructions_test.py BUILD_DIR. Exit 77 when callgrind is not there.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

gate = pathlib.Path(__file__).resolve().parent / "instructions"
build = sys.argv[1]


def run(baseline, *options):
    done = subprocess.run([sys.executable, gate, build, "--baseline", baseline, "--only", "throttle_check", *options],
                          capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def expect(what, found, code, text):
    if found[0] != code or text not in found[1]:
        raise SystemExit(f"{what}: exit {found[0]}, expected {code} with \"{text}\"\n{found[1]}")


with tempfile.TemporaryDirectory(prefix="tenon-gate-") as folder:
    baseline = pathlib.Path(folder) / "baseline.json"
    first = run(baseline, "--update")
    if first[0] == 77:
        print(first[1])
        sys.exit(77)
    expect("a new baseline", first, 0, "throttle_check")
    expect("the same again", run(baseline), 0, "same")
    expect("planted work", run(baseline, "--extra", "throttle_check"), 1, "WORSE")
    stored = json.loads(baseline.read_text())
    stored["build"] = "another compiler"
    baseline.write_text(json.dumps(stored))
    expect("another compiler", run(baseline), 77, "SKIPPED")
print("the gate passes the same, fails planted work, and says when it compares nothing")
