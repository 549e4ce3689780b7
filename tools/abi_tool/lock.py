# SPDX-License-Identifier: Apache-2.0
"""The lock: one line for each member, fixed size, named type and constant. Lines are only appended."""
import re

from .headers import pointer_to

LINE = re.compile(r"^(FIXED|MEMBER|ALIAS|CONSTANT|TEXT)\((\w+)(?:, (\w+))?.*\);$")
HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* The layout lock: every member, size, named type and constant of the ABI as it was first released.
 *
 * A slot that moves, changes its type or goes away does not compile, in C11 and later and in C++17
 * and later. `tools/abi lock` appends what is new; a line is never edited or taken out, which
 * `tools/abi check` compares with the last release. The file is long because the ABI is.
 *
 *   FIXED(T, size)               a T that carries no size or is copied by value: it cannot grow
 *   MEMBER(T, m, offset, type*)  place and type of a member; the type is written as a pointer to it
 *   ALIAS(name, type)            what a name for a type stands for
 *   CONSTANT(name, type, value), TEXT(name, value) */
/* clang-format off */
#ifdef __cplusplus
#include <type_traits>
#define ASSERT(c, text) static_assert(c, text)
#define SAME(e, ...) std::is_same_v<decltype(e), __VA_ARGS__>
#else
#define ASSERT(c, text) _Static_assert(c, text)
#define SAME(e, ...) _Generic((e), __VA_ARGS__: 1, default: 0)
#endif
#define FIXED(T, bytes) ASSERT(sizeof(T) == (bytes), #T " changed its size: it cannot grow")
#define MEMBER(T, m, off, ...) \\
    ASSERT(offsetof(T, m) == (off), #T "." #m " moved: its offset was " #off); \\
    ASSERT(SAME(&((T*)0)->m, __VA_ARGS__), #T "." #m " changed its type: a pointer to it was " #__VA_ARGS__)
#define ALIAS(name, ...) ASSERT(SAME((name*)0, __VA_ARGS__), #name " stands for another type: a pointer to it was " #__VA_ARGS__)
#define CONSTANT(name, kind, was) \\
    ASSERT((name) == (was) && SAME((name), kind), #name " changed: it was " #was " (" #kind ")")
#define TEXT(name, was) ASSERT(__builtin_strcmp(name, was) == 0, #name " changed: it was " #was)
"""


def literal(value, kind):
    if kind == "text":
        return f'"{value}"'
    suffix = {"int": "", "unsigned int": "u", "long": "l", "unsigned long": "ul"}[kind]
    return f"({value}{suffix})" if value < 0 else f"{value}{suffix}"


def lines_of(abi):
    """[(header, key, line)] for everything; the key names what the line locks."""
    out = []
    for header in abi.headers:
        for name, kind in abi.aliases.items():
            if abi.alias_headers.get(name) == header:
                out.append((header, name, f"ALIAS({name}, {pointer_to(kind)});"))
        for name, c in abi.constants.items():
            if c["header"] == header:
                word = f"TEXT({name}, " if c["type"] == "text" else f"CONSTANT({name}, {c['type']}, "
                out.append((header, name, f"{word}{literal(c['value'], c['type'])});"))
        for name, struct in abi.structs.items():
            if struct["header"] != header:
                continue
            if not struct["growable"]:
                out.append((header, f"sizeof({name})", f"FIXED({name}, {struct['size']});"))
            for m in struct["members"]:
                out.append((header, f"{name}.{m['name']}",
                            f"MEMBER({name}, {m['name']}, {m['offset']}, {pointer_to(m['type'])});"))
    return out


def key_of(line):
    match = LINE.match(line)
    if not match:
        return None
    word, name, member = match.groups()
    return f"{name}.{member}" if word == "MEMBER" else f"sizeof({name})" if word == "FIXED" else name


def locked(text):
    """{key: line} of a lock file, in its order."""
    return {key_of(line): line for line in text.splitlines() if LINE.match(line)}


def appended(text, abi):
    """The lock with lines for all that is new, and the keys of those."""
    text = text or HEAD
    have, new = locked(text), []
    included = set(re.findall(r"#include <tenon/abi/([\w.]+)>", text))
    for header, key, line in lines_of(abi):
        if header not in included:
            included.add(header)
            text += f"\n#include <tenon/abi/{header}>\n"
        if key not in have:
            text += line + "\n"
            new.append(key)
    return text, new


def problems(text, abi, releases):
    """What `tools/abi check` finds; releases: [(name, its lock's text)]."""
    found, have = [], locked(text)
    for header, key, line in lines_of(abi):
        if key not in have:
            found.append(f"{key} ({header}) is not locked: run tools/abi lock")
        elif have[key] != line:
            found.append(f"{key} ({header}) differs from its lock\n    locked: {have[key]}\n    header: {line}")
    today = {key for _, key, _ in lines_of(abi)}
    found += [f"{key} is locked and gone from the headers" for key in have if key not in today]
    for name, struct in abi.structs.items():
        if struct["growable"] and struct["padding"]:
            found.append(f"{name} ends with {struct['padding']} bytes of padding: a member put there would look present"
                         " in older structs; name the padding")
    for release, old_text in releases:
        old = [line for line in old_text.splitlines() if LINE.match(line)]
        new = [line for line in text.splitlines() if LINE.match(line)]
        for index, line in enumerate(old):
            if index >= len(new) or new[index] != line:
                state = "was taken out or changed" if line not in new else "has moved"
                found.append(f"{key_of(line)}: its line in the lock of release {release} {state}; lines are only appended")
                if state == "has moved":
                    break
    return found


def anchor(abi):
    """The source of a library whose one function names every struct."""
    out = ["/* SPDX-License-Identifier: Apache-2.0 */",
           "/* One exported function that names every struct of the ABI, for abidiff: without it no struct is",
           " * reachable and every change passes. Written by `tools/abi lock`. */", "/* clang-format off */"]
    out += [f"#include <tenon/abi/{h}>" for h in abi.headers]
    out += ["", "struct tenon_abi_anchor {"]
    out += [f"    const {name}* {name}_;" for name in abi.structs]
    out += ["};", "",
            '__attribute__((visibility("default"))) const struct tenon_abi_anchor* tenon_abi_anchor(void);',
            "const struct tenon_abi_anchor* tenon_abi_anchor(void) {",
            "    static const struct tenon_abi_anchor anchor;", "    return &anchor;", "}", ""]
    return "\n".join(out)
