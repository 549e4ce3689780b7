#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every metric has its line in etc/prometheus/metrics.txt, and no line lacks its metric (M1).

usage: metric_names_test.py SOURCE_DIR. Exit 0, or 1 with each difference."""
import json
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
LINE = re.compile(r"(tenon_[a-z0-9_]+) (counter|gauge|histogram) (-|[a-z_]+(?:,[a-z_]+)*)")
LITERAL = re.compile(r'"(tenon_[a-z0-9_]+)"')
wrong = []

listed = {}
order = []
for line in (root / "etc/prometheus/metrics.txt").read_text().splitlines():
    if line.startswith("#"):
        continue
    match = LINE.fullmatch(line)
    if not match:
        wrong.append(f"metrics.txt: not a metric: {line}")
        continue
    name, kind, _ = match.groups()
    order.append(name)
    if name in listed:
        wrong.append(f"metrics.txt: {name} stands twice")
    listed[name] = kind
    if (kind == "counter") != name.endswith("_total"):
        wrong.append(f"metrics.txt: {name}: a counter ends in _total, and nothing else does")
    if kind == "histogram" and not name.endswith("_seconds"):
        wrong.append(f"metrics.txt: {name}: a histogram is of seconds")
if order != sorted(order):
    wrong.append("metrics.txt: not in the order of the alphabet")

declared = {}
for manifest in sorted(root.glob("plugins/**/plugin.json")):
    for name in json.loads(manifest.read_text()).get("metrics", []):
        declared.setdefault(name, manifest.relative_to(root))
for source in sorted(root.glob("kernel/**/*.[ch]pp")):
    for name in LITERAL.findall(source.read_text()):
        declared.setdefault(name, source.relative_to(root))

for name, where in sorted(declared.items()):
    if name not in listed:
        wrong.append(f"metrics.txt: {name} of {where} is missing")
for name in sorted(set(listed) - set(declared)):
    wrong.append(f"metrics.txt: {name} is in no manifest and not in the kernel")

literals = {name for folder in ("plugins", "kernel", "sdk/include", "sdk/machine") for kind in ("cpp", "hpp")
            for source in root.glob(f"{folder}/**/*.{kind}") for name in LITERAL.findall(source.read_text())}
for name in sorted(set(declared) - literals):
    wrong.append(f"{declared[name]}: {name} is in no source")

print("\n".join(wrong) or f"{len(listed)} metrics")
sys.exit(1 if wrong else 0)
