#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schemas and the rules in the code agree: schema_test.py SOURCE_DIR TENON

Every manifest and deployment of the tree fits its schema. Then each object of a schema gets a key that
nobody knows: the tool's answer lists the keys that the code knows, which must be the schema's. Then each
known key gets a value of a wrong type: schema and tool must both refuse it.
"""
import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema

source = pathlib.Path(sys.argv[1])
tenon = sys.argv[2]
failures = []
UNKNOWN = "qqqqqqqqqqqqqqqq"


def expect(condition, text):
    if not condition:
        failures.append(text)


def load(path):
    return json.loads(path.read_text())


def validator(name):
    schema = load(source / "sdk" / name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


manifests = validator("manifest.schema.json")
deployments = validator("deployment.schema.json")

MANIFEST = {
    "manifest_version": 1, "id": "org.example.one", "version": "1.2.3", "name": "n", "license": "MIT",
    "description": "d",
    "library": {"file": "one.so", "sha256": "0" * 64, "platform": "linux-x86_64-glibc", "cxx_runtime": "none"},
    "abi": {"entry": 1, "min": "1.0", "draft": []},
    "provides": [{"interface": "org.thing/1", "name": "n", "score": 1, "threads": "any"}],
    "requires": [{"interface": "org.other/1", "optional": True, "many": True, "as": "o"}],
    "order": {"after": ["org.a/1"], "before": ["org.b/1"]}, "conflicts": ["org.example.two"],
    "permissions": ["net.listen"],
    "config_schema": {"type": "object", "properties": {"a": {"type": "integer", "description": "d"}}},
    "lifecycle": {"instances": "one", "reload": "restart", "heal": "restart", "start_timeout_ms": 1, "drain_timeout_ms": 0,
                  "stop_timeout_ms": 1},
    "metrics": ["tenon_one_total"], "roles": ["r"],
    "health": {"critical": False, "interval_ms": 1, "stale_ms": 1},
}
DEPLOYMENT = {
    "deployment_version": 1, "name": "n", "description": "d",
    "plugins": {"one": {"id": "org.example.one", "version": "^1.2", "enabled": True, "config": {"a": 1},
                        "bind": {}, "grant": ["*"], "on_failure": "stop"}},
    "plugin_path": ["plugins"], "allow_draft": False,
    "log": {"level": "info", "levels": {"one": "debug"}, "format": "json", "file": "f", "max_size_mb": 1,
            "max_files": 1},
    "runtime": {"reactors": 1, "blocking_threads": 0, "spin_us": 0},
}
# Where the schema of the settings starts, or any key is legal: not the manifest's own keys.
FREE = {"/config_schema", "/plugins", "/plugins/one/config", "/plugins/one/bind", "/log/levels"}


def problems(folder, manifest, deployment):
    plugin = folder / "plugins" / "one"
    plugin.mkdir(parents=True, exist_ok=True)
    (plugin / "plugin.json").write_text(json.dumps(manifest))
    (folder / "d.json").write_text(json.dumps(deployment))
    out = subprocess.run([tenon, "check", str(folder / "d.json"), "--json"], capture_output=True, text=True)
    return json.loads(out.stdout)["problems"]


def values(value, pointer=""):
    """Every value below, with its pointer."""
    yield pointer, value
    if pointer in FREE:
        return
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from values(inner, f"{pointer}/{key}")
    if pointer == "/plugins":
        yield from values(value["one"], "/plugins/one")


def changed(document, pointer, value):
    out = copy.deepcopy(document)
    at = out
    keys = [int(k) if k.isdigit() else k for k in pointer.split("/")[1:]]
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    return out


def all_values(document):
    seen = dict(values(document))
    if "plugins" in document:
        seen.update(values(document["plugins"]["one"], "/plugins/one"))
    return seen


def compare(folder, name, check, document, pair):
    expect(check.is_valid(document), f"{name}: the schema refuses the whole document")
    for pointer, value in all_values(document).items():
        if isinstance(value, dict) and pointer not in FREE:
            wrong = changed(document, f"{pointer}/{UNKNOWN}", 1)
            expect(not check.is_valid(wrong), f"{name}: the schema takes an unknown key in {pointer or '/'}")
            told = [p for p in problems(folder, *pair(wrong)) if p["pointer"] == f"{pointer}/{UNKNOWN}"]
            expect(told and told[0]["code"] == "M01", f"{name}: no M01 for an unknown key in {pointer or '/'}")
            known = re.sub("^one of ", "", told[0]["expected"]).split(", ") if told else []
            # The full document has every key of the schema: what the code knows must be the same.
            expect(sorted(known) == sorted(value), f"{name} {pointer or '/'}: the code knows {known}, "
                   f"the schema's document has {list(value)}")
        if pointer:
            wrong_type = 5 if isinstance(value, (str, dict, list, bool)) else "five"
            wrong = changed(document, pointer, wrong_type)
            expect(not check.is_valid(wrong), f"{name}: the schema takes {wrong_type!r} at {pointer}")
            told = [p["code"] for p in problems(folder, *pair(wrong)) if p["pointer"].startswith(pointer)]
            expect(told, f"{name}: the code takes {wrong_type!r} at {pointer}")


def schema_keys(schema, pointer=""):
    """Every key that the schema names, by pointer; items of lists count as element 0."""
    for key, inner in schema.get("properties", {}).items():
        yield f"{pointer}/{key}"
        if f"{pointer}/{key}" not in FREE:
            yield from schema_keys(inner, f"{pointer}/{key}")
    if isinstance(schema.get("items"), dict):
        yield from schema_keys(schema["items"], f"{pointer}/0")


tracked = subprocess.run(["git", "-C", str(source), "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True).stdout.split()
counted = 0
for path in tracked:
    if path.endswith("plugin.json") and not path.startswith(("sdk/templates/", "sdk/conformance/")):
        kind, check = "manifest", manifests
    elif path.startswith("etc/deployments/") and path.endswith(".json"):
        kind, check = "deployment", deployments
    else:
        continue
    counted += 1
    for error in check.iter_errors(load(source / path)):
        failures.append(f"{path}: {error.json_path}: {error.message}")
expect(counted > 15, f"only {counted} documents were found in the tree")

with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    compare(folder, "manifest", manifests, MANIFEST, lambda wrong: (wrong, DEPLOYMENT))
    compare(folder, "deployment", deployments, DEPLOYMENT, lambda wrong: (MANIFEST, wrong))
for name, check, document in (("manifest", manifests, MANIFEST), ("deployment", deployments, DEPLOYMENT)):
    missing = set(schema_keys(check.schema)) - set(all_values(document))
    expect(not missing, f"{name}: the document of this test lacks {sorted(missing)}")
instance = deployments.schema["properties"]["plugins"]["additionalProperties"]
expect(set(instance["properties"]) == set(DEPLOYMENT["plugins"]["one"]), "deployment: keys of an instance")

keywords = re.search(r"k_keywords\{(.*?)\}", (source / "sdk/manifest/schema.cpp").read_text(), re.S).group(1)
expect(set(re.findall(r'"([^"]+)"', keywords)) == set(manifests.schema["$defs"]["settings"]["properties"]),
       "keywords of config_schema differ from sdk/manifest/schema.cpp")

print("\n".join(failures) if failures else f"schemas: {counted} documents, every key agrees")
sys.exit(1 if failures else 0)
