#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that a program can check: usage tidy_test.py SOURCE_DIR. Exit 0, or 1 with each breach."""
import json
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1]).resolve()
breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}")


def tracked():
    out = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"],
                         capture_output=True, text=True, check=True).stdout
    return [p for p in map(pathlib.PurePosixPath, out.split("\n")) if p.name and (root / p).is_file()]


CODE = {".cpp", ".hpp", ".h", ".c"}
BANNED = [
    (re.compile(r"\bstd::this_thread::sleep_(for|until)\b|\busleep\("), "a timer or a condition"),
    (re.compile(r"\b(std::)?rand\(\)|\bsrand\("), "a seeded engine that is passed in"),
    (re.compile(r"\b(sprintf|strcpy|strcat)\("), "fmt or std::string"),
    (re.compile(r"\bdlclose\("), "nothing: plugin images stay mapped"),
    (re.compile(r"\bFIXME\b|\bTODO\b|\bXXX\b"), "a finished thought"),
    (re.compile(r"\bsystem_clock::now\(\)|\bsteady_clock::now\(\)"), "tenon.clock/1, or a clock that is passed in"),
    (re.compile(r"\busing namespace std;"), "qualified names"),
    (re.compile(r"\bBOOST_DLL_.*unload\b"), "nothing: plugin images stay mapped"),
]
# Where real time and real waiting are the point.
CLOCK_ALLOWED = ("kernel/runtime/", "kernel/main", "tests/", "tools/", "sdk/conformance/",
                 "sdk/redis/")  # a thread of its own that waits for real sockets

# What a plugin's author must not be made to install. sdk/manifest and sdk/conformance are parts of programs.
THIRD_PARTIES = ("boost/", "spdlog/", "fmt/", "soci/", "sodium", "openssl/", "sqlite3", "sdk/")
KERNEL_MAX_LINES = 5300


def check_includes(path, number, line):
    match = re.match(r'\s*#\s*include\s+[<"]([^">]+)[">]', line)
    if not match:
        return
    included = match.group(1)
    top = path.parts[0]
    if top == "kernel" and included.startswith(("plugins/", "tools/", "tests/")):
        breach(path, number, f"the kernel includes {included}")
    if top == "sdk" and included.startswith(("kernel/", "plugins/", "tools/", "tests/")):
        breach(path, number, f"the SDK includes {included}")
    if path.as_posix().startswith("sdk/include/") and included.startswith(THIRD_PARTIES):
        breach(path, number, f"a header for plugins includes {included}")
    if path.as_posix().startswith("sdk/include/tenon/abi/") and included.startswith("tenon/"):
        breach(path, number, f"a contract includes {included}")
    if top == "plugins":
        if included.startswith("kernel/"):
            breach(path, number, f"a plugin includes {included}")
        if included.startswith("plugins/"):
            own = plugin_folder(path)
            if not included.startswith(f"plugins/{own}/"):
                breach(path, number, f"plugin {own} includes {included}")


def plugin_folder(path):
    folder = path.parent
    while not (root / folder / "plugin.json").exists() and folder.parts:
        folder = folder.parent
    return "/".join(folder.parts[1:])


files = tracked()
for path in files:
    text_file = path.suffix in CODE | {".cmake", ".py", ".sh", ".mjs", ".txt"} or path.name == "CMakeLists.txt"
    if not text_file or "node_modules" in path.parts:
        continue
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    lines = text.split("\n")
    if path.suffix in CODE | {".cmake", ".py", ".mjs"} or path.name == "CMakeLists.txt":
        count = sum("SPDX-License" + "-Identifier" in line for line in lines[:5])
        if count != 1:
            breach(path, 1, f"{count} SPDX lines in its head, expected 1")
    if path.suffix not in CODE:
        continue
    if len(lines) > 601 and "long because" not in text[:2000]:
        breach(path, len(lines), "over 600 lines, and its head does not say why ('long because …')")
    for number, line in enumerate(lines, 1):
        check_includes(path, number, line)
        for pattern, instead in BANNED:
            if pattern.search(line):
                if "clock" in pattern.pattern and path.as_posix().startswith(CLOCK_ALLOWED):
                    continue
                breach(path, number, f"banned: {line.strip()[:60]} (use {instead})")

kernel_lines = sum(bool(line.strip()) and not line.strip().startswith("//")
                   for path in files if path.parts[0] == "kernel" and path.suffix in CODE
                   for line in (root / path).read_text().split("\n"))
if kernel_lines >= KERNEL_MAX_LINES:
    breach("kernel", kernel_lines, f"{kernel_lines} lines of code, fewer than {KERNEL_MAX_LINES} expected")

for manifest in (p for p in files if p.name == "plugin.json" and p.parts[0] == "plugins"):
    folder = root / manifest.parent
    for needed in ("README.md", "CMakeLists.txt"):
        if not (folder / needed).is_file():
            breach(manifest, 1, f"the folder has no {needed}")
    data = json.loads((root / manifest).read_text())
    readme = (folder / "README.md").read_text() if (folder / "README.md").is_file() else ""
    for setting in data.get("config_schema", {}).get("properties", {}):
        if f"`{setting}`" not in readme:
            breach(manifest, 1, f"README.md does not name the setting `{setting}`")
    for metric in data.get("metrics", []):
        if not re.fullmatch(r"tenon_[a-z0-9_]+", metric):
            breach(manifest, 1, f"bad metric name {metric}")

listed = "\n".join((root / p).read_text() for p in files if p.name == "CMakeLists.txt" or p.suffix == ".cmake")
for path in files:
    if path.suffix in {".cpp", ".c"} and path.name not in listed:
        breach(path, 1, "in no CMakeLists.txt")

print("\n".join(breaches) if breaches else
      f"tidy: {len(files)} files, {kernel_lines} lines of code in the kernel, nothing to say")
sys.exit(1 if breaches else 0)
