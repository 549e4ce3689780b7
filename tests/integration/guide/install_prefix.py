#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs the SDK and the daemon as packages would: install_prefix.py BUILD_DIR PREFIX

The plugins of the server are left out: nothing here needs them, and they take a while to build.
"""
import pathlib
import shutil
import subprocess
import sys

build, prefix = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
shutil.rmtree(prefix, ignore_errors=True)
subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--component", "sdk"], check=True,
               stdout=subprocess.DEVNULL)
shutil.copy2(build / "bin" / "tenond", prefix / "bin" / "tenond")
for needed in ("bin/tenon", "bin/tenon-plugin-check", "lib/cmake/Tenon/TenonConfig.cmake",
               "share/tenon/templates/kinds", "share/tenon/GUIDE.md", "share/tenon/manifest.schema.json",
               "share/tenon/deployment.schema.json"):
    if not (prefix / needed).exists():
        sys.exit(f"the installation lacks {needed}")
