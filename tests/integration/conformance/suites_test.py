#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An interface suite of the conformance kit, held against plugins that are right and wrong.

usage: suites_test.py PROGRAM SUITE BROKEN_DIR [--plugin FILE.so[=SETTINGS.json]]... [PROGRAM OPTION]...

Every check of the suite has a plugin in BROKEN_DIR that breaks it and must fail it; the reference
plugin and each --plugin must pass them all. Prints the seed of what went wrong.
"""
import json
import pathlib
import re
import subprocess
import sys


def run(program, file, only, options):
    done = subprocess.run([program, str(file), "--only", only, "--json", *options],
                          capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        sys.exit(f"{file}: no report: {done.stdout}{done.stderr}")
    return report["seed"], report["plugins"][0]["results"]


def main():
    program, suite, broken = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    plugins, options, rest = [], [], sys.argv[4:]
    while rest:
        word = rest.pop(0)
        if word == "--plugin":
            plugins.append(rest.pop(0))
        else:
            options.append(word)
    wrong = []
    seen = set()
    for file in sorted(broken.glob(f"{suite}.*/{suite}.*.so")):
        name = file.stem
        if name == f"{suite}.none":
            continue
        seed, results = run(program, file, f"^{re.escape(name)}$", options)
        if len(results) != 1 or results[0]["outcome"] not in ("fail", "crash", "timeout"):
            wrong.append(f"{name}: the broken plugin passes its check; seed {seed}: {results}")
        else:
            print(f"{results[0]['outcome']:8}{name}: {results[0]['messages'][0][:160]}")
            seen.add(name)
    for plugin in [str(broken / f"{suite}.none" / f"{suite}.none.so"), *plugins]:
        file, _, settings = plugin.partition("=")
        more = ["--settings", settings] if settings else []
        seed, results = run(program, file, f"^{re.escape(suite)}\\.", options + more)
        for result in results:
            if result["outcome"] in ("fail", "crash", "timeout"):
                wrong.append(f"{file}: {result['check']} {result['outcome']}; seed {seed}: {result['messages']}")
            if plugin.endswith(".none.so") and result["outcome"] == "pass" and result["check"] not in seen:
                wrong.append(f"{result['check']}: there is no broken plugin for it")
        counts = {o: sum(r["outcome"] == o for r in results) for o in ("pass", "warn", "skip")}
        print(f"{pathlib.Path(file).name}: {counts}")
        for result in results:
            if result["outcome"] in ("skip", "warn"):
                print(f"  {result['outcome']} {result['check']}: {'; '.join(result['messages'])}")
    print("\n".join(wrong) if wrong else "all as it should be")
    return 1 if wrong else 0


sys.exit(main())
