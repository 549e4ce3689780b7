#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of the guide: guide_test.py PREFIX GUIDE.md

Blocks marked ```sh run in order, in one shell, in an empty folder; the first command that fails ends
the test. A ```text block right after one holds lines that its output must have, in that order; "…"
stands for anything. Other blocks (```cpp, ```json, ```console) are not run.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

prefix, guide = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
TIMEOUT_S = 600
blocks = re.findall(r"^```(sh|text)\n(.*?)^```$", guide.read_text(), re.S | re.M)
steps = []
for kind, text in blocks:
    if kind == "sh":
        steps.append([text, []])
    elif steps:
        steps[-1][1] = text.splitlines()
if len(steps) < 5:
    sys.exit(f"{guide}: only {len(steps)} blocks of commands were found")


def script():
    yield "set -euo pipefail\n"
    for index, (text, _) in enumerate(steps):
        yield f"printf '\\n@@step %d\\n' {index}\n{text}"
    yield "printf '\\n@@done\\n'\n"


def missing(output, lines):
    """The first line that does not come, in order."""
    at = 0
    for line in lines:
        words = [re.escape(" ".join(part.split())).replace(r"\ ", r"\s+") for part in line.split("…")]
        found = re.compile(r".*".join(words)).search(output, at)
        if not found:
            return line
        at = found.end()
    return None


with tempfile.TemporaryDirectory(prefix="tenon-guide-") as folder:
    environment = {**os.environ, "TENON_PREFIX": str(prefix)}
    shell = subprocess.Popen(["bash", "-c", "".join(script())], cwd=folder, env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = shell.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(shell.pid, signal.SIGKILL)
        sys.exit(f"the guide took longer than {TIMEOUT_S} s:\n{shell.communicate()[0]}")
    finally:
        try:
            os.killpg(shell.pid, signal.SIGKILL)  # a server that the guide left behind
        except ProcessLookupError:
            pass

print(output)
outputs = re.split(r"^@@(?:step \d+|done)\n", output, flags=re.M)[1:]
if shell.returncode != 0:
    sys.exit(f"these commands of the guide fail (exit {shell.returncode}):\n{steps[len(outputs) - 1][0]}")
for (text, lines), said in zip(steps, outputs):
    line = missing(said, [line for line in lines if line.strip() not in ("", "…")])
    if line is not None:
        sys.exit(f"the commands\n{text}do not print the guide's line\n  {line}")
print(f"guide: {len(steps)} blocks of commands work as printed")
