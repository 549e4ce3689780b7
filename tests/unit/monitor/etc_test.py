#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dashboards ask for metrics and labels that exist, in PromQL that Prometheus reads; recording rules give what
they say; the history keeps metrics that exist; each alert has its page in the runbook, whose commands exist (M3, M5).

usage: etc_test.py SOURCE_DIR. Exit 0, or 1 with each problem."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
wrong = []

known = {}  # metric: labels
for line in (root / "etc/prometheus/metrics.txt").read_text().splitlines():
    if line.startswith("tenon_"):
        name, kind, labels = line.split()
        given = set() if labels == "-" else set(labels.split(","))
        known[name] = given
        if kind == "histogram":
            known |= {f"{name}_bucket": given | {"le"}, f"{name}_sum": given, f"{name}_count": given}
recording = root / "etc/prometheus/recording.yml"
recorded = set(re.findall(r"record: (\S+)", recording.read_text()))
ALWAYS = {"instance", "job", "le", "alertname", "alertstate", "severity"}
NAME = re.compile(r"(?:instance\w*:)?tenon_[a-z0-9_]+(?::[a-z0-9_]+)?")


def check(expression, where):
    """Names, and the labels that are asked for by matchers and by()."""
    names = set(NAME.findall(expression))
    labels = set()
    for name in names:
        if name in recorded:
            labels |= set(name.split(":")[0].split("_"))
        elif name in known:
            labels |= known[name]
        else:
            wrong.append(f"{where}: there is no metric {name}")
    asked = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", expression))
    for group in re.findall(r"\bby \(([^)]*)\)", expression):
        asked |= {label.strip() for label in group.split(",")}
    for label in sorted(asked - labels - ALWAYS):
        wrong.append(f"{where}: no metric of it has the label {label}: {expression}")


def promtool(*arguments):
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        wrong.append(f"promtool {' '.join(arguments[:2])}: {run.stdout}{run.stderr}")


expressions = []
uids = set()
for file in sorted((root / "etc/grafana").glob("*.json")):
    board = json.loads(file.read_text())
    if board["uid"] in uids or len({panel["id"] for panel in board["panels"]}) != len(board["panels"]):
        wrong.append(f"{file.name}: a uid or a panel's id stands twice")
    uids.add(board["uid"])
    for panel in board["panels"]:
        if panel["type"] != "row" and not panel["targets"]:
            wrong.append(f"{file.name}: {panel['title']}: asks for nothing")
        for target in panel.get("targets", []):
            where = f"{file.name}: {panel['title']}"
            check(target["expr"], where)
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                if f"{label}" not in target["expr"] and not any(
                        label in known.get(name, ()) | set(name.split(":")[0].split("_"))
                        for name in NAME.findall(target["expr"])):
                    wrong.append(f"{where}: the legend's {label} is not in {target['expr']}")
            expressions.append(target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*"))
if len(uids) < 4 or len(expressions) < 50:
    wrong.append(f"only {len(uids)} dashboards with {len(expressions)} queries")
for expression in re.findall(r"expr: (?:>-\n)?(.*?)(?=\n      - record|\Z)", recording.read_text(), re.S):
    check(" ".join(expression.split()), "recording.yml")

with tempfile.TemporaryDirectory() as folder:
    rules = [{"record": f"check:{i}", "expr": one} for i, one in enumerate(expressions)]
    asked = pathlib.Path(folder, "asked.yml")
    asked.write_text(json.dumps({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", str(asked))
    promtool("check", "rules", str(recording))
    shutil.copy(recording, folder)
    shutil.copy(root / "tests/unit/monitor/recording_test.yml", folder)
    promtool("test", "rules", str(pathlib.Path(folder, "recording_test.yml")))


def metrics_of(value):
    """Names in an expression of an alert rule or of the history, and what they are asked for by."""
    if isinstance(value, list):
        return [found for one in value for found in metrics_of(one)]
    if not isinstance(value, dict):
        return []
    inner = [found for one in value.values() for found in metrics_of(one)]
    names = [value[key] for key in ("metric", "rate", "of", "age_of") if isinstance(value.get(key), str)]
    asked = set(value.get("where", ())) | (set(value.get("by", ())) if names else set())
    return inner + [(name, asked) for name in names]


for series in json.loads((root / "etc/history.json").read_text())["series"]:
    for name, asked in metrics_of(series["value"]):
        for label in sorted(asked - known.get(name, set())):
            wrong.append(f"history.json: {series['name']}: {name} has no label {label}")
        if name not in known:
            wrong.append(f"history.json: {series['name']}: there is no metric {name}")

alerts = json.loads((root / "etc/alerts.json").read_text())["rules"]
runbook = (root / "etc/runbooks.md").read_text()
pages = re.findall(r"^## (\S+)\n\n\*([^*]+)\*", runbook, re.M)
if sorted(page for page, _ in pages) != sorted({rule["runbook"] for rule in alerts}):
    wrong.append(f"runbooks.md: other pages than rules ask for: "
                 f"{ {page for page, _ in pages} ^ {rule['runbook'] for rule in alerts} }")
for page, names in pages:
    if set(names.split(", ")) != {rule["name"] for rule in alerts if rule["runbook"] == page}:
        wrong.append(f"runbooks.md: {page} is for {names}")
sources = "".join(path.read_text() for folder in ("plugins", "kernel", "tools")
                  for path in root.glob(f"{folder}/**/*.cpp"))
for command in sorted(set(re.findall(r"`tenon ([a-z]+(?: [a-z]+)?)", runbook))):
    if f'"{command.replace(" ", ".")}"' not in sources:
        wrong.append(f"runbooks.md: there is no command tenon {command}")
for name in sorted(set(re.findall(r"`(tenon_[a-z0-9_]+)`", runbook))):
    if name not in known:
        wrong.append(f"runbooks.md: there is no metric {name}")

print("\n".join(wrong) or f"{len(uids)} dashboards, {len(expressions)} queries, {len(recorded)} recorded, {len(pages)} pages")
sys.exit(1 if wrong else 0)
