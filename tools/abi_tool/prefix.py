# SPDX-License-Identifier: Apache-2.0
"""Old members are a prefix of today's, at the same offsets and with the same types."""


def compare(old, new, release):
    """Breaches of the prefix rule between two layouts, oldest first."""
    found = []
    for name, was in old["structs"].items():
        now = new["structs"].get(name)
        if now is None:
            found.append(f"{name} of release {release} is gone")
            continue
        found += members(name, was, now, release)
        if not was["growable"] and now["size"] != was["size"]:
            found.append(f"{name} had {was['size']} bytes in release {release} and cannot grow: found {now['size']}")
        if was["growable"] and now["size"] < was["size"]:
            found.append(f"{name} shrank from {was['size']} bytes in release {release} to {now['size']}")
    for what in ("aliases", "constants"):
        for name, was in old[what].items():
            now = new[what].get(name)
            if now != was:
                found.append(f"{name} was {was} in release {release}: found {now}")
    return found


def members(name, was, now, release):
    for index, (member, offset, size, kind) in enumerate(was["members"]):
        if index >= len(now["members"]):
            return [f"{name}.{member} of release {release} is gone"]
        found, found_offset, found_size, found_kind = now["members"][index]
        if found != member:
            return [f"{name}.{member} was slot {index} in release {release}: found {found} there"]
        if (found_offset, found_size) != (offset, size):
            return [f"{name}.{member} was at {offset} with {size} bytes in release {release}:"
                    f" found {found_offset} with {found_size}"]
        if found_kind != kind:
            return [f"{name}.{member} was {kind} in release {release}: found {found_kind}"]
    return []
