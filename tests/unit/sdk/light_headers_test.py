#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What every plugin includes stays light: plugin.hpp and the cache tier's header reach none of the
# standard headers that cost a compiler the most.
#   light_headers_test.py COMPILER INCLUDE_DIR
import os
import subprocess
import sys

COMPILER, INCLUDE = sys.argv[1:3]
# A part of libstdc++ that only the header named here brings in.
HEAVY = {
    "bits/unique_ptr.h": "<memory>",
    "bits/shared_ptr.h": "<memory>",
    "bits/stl_algo.h": "<algorithm>",
    "bits/ranges_algo.h": "<algorithm>",
    "bits/stl_vector.h": "<vector>",
    "bits/std_function.h": "<functional>",
    "bits/chrono.h": "<chrono>",
    "bits/std_mutex.h": "<mutex>",
    "bits/stl_tree.h": "<map>",
    "bits/hashtable.h": "<unordered_map>",
}


def files_of(source):
    """Every file that a compiler reads for the source."""
    run = subprocess.run(
        [COMPILER, "-std=c++20", "-M", "-x", "c++", "-I", INCLUDE, "-"],
        input=source, capture_output=True, text=True, check=True)
    return run.stdout.replace("\\\n", " ").split()


def heavy_of(source):
    return sorted({name + " (" + part + ")" for part, name in HEAVY.items()
                   if any(file.endswith("/" + part) for file in files_of(source))})


known = heavy_of("#include <memory>\n#include <vector>\n")
if len(known) < 2:
    sys.exit("light_headers: this standard library names its parts otherwise: " + str(known))
failures = 0
for header in ("tenon/structs.hpp", "tenon/plugin.hpp", "tenon/cache_tier.hpp"):
    found = heavy_of(f"#include <{header}>\n")
    for name in found:
        print(f"{os.path.join(INCLUDE, header)}: reaches {name}")
    failures += len(found)
sys.exit(1 if failures else 0)
