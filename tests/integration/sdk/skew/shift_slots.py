#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Copies the SDK's headers as a later or an earlier release would have them.

usage: shift_slots.py newer|older|today FROM TO
newer  a slot is appended to tables and structs that host and plugin hand each other; ABI minor 1 more
older  the last slot of some of them is gone
today  a plain copy
Files that stay the same are not written, so that what is built of them stays up to date.
"""
import pathlib
import re
import sys

kind, source, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])

APPEND = {
    "abi/base.h": {
        "tenon_host": "tenon_status (*future)(void* self);",
        "tenon_plugin_vt": "tenon_status (*future)(tenon_plugin*);",
        "tenon_entry": "uint64_t future;",
        "tenon_err": "uint64_t future;",
    },
    "abi/host.h": {
        "tenon_log_1": "tenon_status (*future)(void* self);",
        "tenon_clock_1": "int64_t (*future)(void* self);",
        "tenon_environment_1": "tenon_status (*future)(void* self);",
        "tenon_exec_1": "tenon_status (*future)(void* self);",
        "tenon_metrics_1": "tenon_status (*future)(void* self);",
        "tenon_health_1": "tenon_status (*future)(void* self);",
        "tenon_services_1": "tenon_status (*future)(void* self);",
        "tenon_admin_1": "tenon_status (*future)(void* self);",
    },
    "abi/cache_tier.h": {
        "tenon_cache_tier_1": "tenon_status (*future)(void* self);",
        "tenon_cache_tier_stats": "uint64_t future;",
    },
}


def newer(name, text):
    if name == "abi/base.h":
        text, count = re.subn(r"(#define TENON_ABI_MINOR )(\d+)u", lambda m: f"{m[1]}{int(m[2]) + 1}u", text)
        assert count == 1
    for struct, slot in APPEND.get(name, {}).items():
        text, count = re.subn(rf"\n\}} {struct};", f"\n    {slot}\n}} {struct};", text)
        if count == 0:  # struct on one line or closed on its last member's line
            text, count = re.subn(rf" \}} {struct};", f" {slot} }} {struct};", text)
        assert count == 1, f"{struct} not found in {name}"
    return text


def older(name, text):
    if name == "abi/cache_tier.h":
        text, count = re.subn(r"    /\* Optional, for shared tiers\..*?(?=\} tenon_cache_tier_1;)", "", text, flags=re.S)
        assert count == 1
        text, count = re.subn(r"\n    uint64_t expired;[^\n]*", "", text)
        assert count == 1
    if name == "cache_tier.hpp":
        text, count = re.subn(r"&read_stats(,\s*nullptr)+\};", "&read_stats};", text)
        assert count > 0
        text, count = re.subn(r"// A tier that several servers share and.*?(?=\}  // namespace tenon\n)", "", text,
                              flags=re.S)
        assert count == 1
    if name == "abi/host.h":
        text, count = re.subn(r"\n    /\* \[any\] 1 when every plugin of the deployment has started.*?(?=\n\} tenon_health_1;)",
                              "", text, flags=re.S)
        assert count == 1
    return text


for path in sorted(p for p in source.rglob("*") if p.is_file()):
    relative = path.relative_to(source)
    name = relative.relative_to("tenon").as_posix()
    text = path.read_text()
    text = {"newer": newer, "older": older, "today": lambda _, t: t}[kind](name, text)
    out = target / relative
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists() or out.read_text() != text:
        out.write_text(text)
