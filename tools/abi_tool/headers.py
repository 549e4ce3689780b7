# SPDX-License-Identifier: Apache-2.0
"""What the contracts in sdk/include/tenon/abi say: structs, members, named types and constants.

clang's syntax tree gives names and types as they are written, a compiled program the offsets, sizes
and values: no parser of our own, and no table of alignments."""
import json
import os
import pathlib
import re
import subprocess
import tempfile

# Constants that grow with the ABI; a reader compares with <=, never with ==.
GROWING = {"TENON_ABI_MINOR", "TENON_INTERVAL_COUNT"}


class Failure(Exception):
    """Ends the tool with a message."""


def run(command, what, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise Failure(f"{what} failed:\n{done.stderr.strip()}")
    return done.stdout


def header_names(include):
    names = sorted(p.name for p in (include / "tenon/abi").glob("*.h"))
    if not names:
        raise Failure(f"no contracts in {include}/tenon/abi")
    names.sort(key=lambda n: (n != "base.h", n != "host.h", n))
    return names


def pointer_to(kind):
    """The spelling of a pointer to a type: of a function pointer, an array, anything else."""
    if "(*)" in kind:
        return kind.replace("(*)", "(**)", 1)
    array = re.fullmatch(r"(.*?)\s*((?:\[\d+\])+)", kind)
    if array:
        return f"{array[1]} (*){array[2]}"
    return f"{kind} *"


class Abi:
    """structs: {name: {"header", "size", "growable", "fixed", "members": [{"name","type","offset","size"}]}},
    aliases: {name: type}, constants: {name: {"type","value"}}; all in the order of the headers."""

    def __init__(self, include):
        self.include = pathlib.Path(include).resolve()
        self.headers = header_names(self.include)
        self.structs, self.aliases, self.constants, self.opaque = {}, {}, {}, []
        self._source = "".join(f"#include <tenon/abi/{name}>\n" for name in self.headers)
        self._read_tree()
        self._read_constants()
        self._measure()
        self._classify()

    def _read_tree(self):
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / "all.c"
            source.write_text(self._source)
            text = run([os.environ.get("TENON_ABI_CLANG", "clang"), "-std=c11", f"-I{self.include}",
                        "-Xclang", "-ast-dump=json", "-fsyntax-only", str(source)], "reading the contracts with clang")
        seen = set()
        for node in json.loads(text)["inner"]:
            name = node.get("name", "")
            if not name.startswith("tenon_"):
                continue
            if node["kind"] == "RecordDecl":
                seen.add(name)
                if node.get("completeDefinition"):
                    self._add_struct(name, node)
            elif node["kind"] == "TypedefDecl":
                kind = node["type"]["qualType"]
                if not kind.startswith("struct "):
                    self.aliases[name] = kind
        self.opaque = sorted(seen - set(self.structs))

    def _add_struct(self, name, node):
        if node.get("tagUsed") != "struct":
            raise Failure(f"{name}: a {node.get('tagUsed')} may not cross the seam")
        members = []
        for inner in node.get("inner", []):
            if inner["kind"] != "FieldDecl":
                continue
            if not inner.get("name") or inner.get("isBitfield"):
                raise Failure(f"{name}: anonymous members and bit fields may not cross the seam")
            members.append({"name": inner["name"], "type": inner["type"]["qualType"]})
        self.structs[name] = {"members": members}

    def _read_constants(self):
        self.texts = {h: (self.include / "tenon/abi" / h).read_text() for h in self.headers}
        for header, text in self.texts.items():
            for match in re.finditer(r"^[ \t]*#[ \t]*define[ \t]+(TENON_\w+)[ \t]+(?=[^\s\\])", text, re.M):
                if match[1] not in GROWING:
                    self.constants[match[1]] = {"header": header}
            for name in re.findall(r"^typedef struct (tenon_\w+)\s*\{|^struct (tenon_\w+)\s*\{", text, re.M):
                self.structs[name[0] or name[1]]["header"] = header
        self.alias_headers = {a: h for a in self.aliases for h, t in self.texts.items()
                              if re.search(rf"^typedef [^;]*\b{a}\b", t, re.M | re.S)}
        for name, struct in self.structs.items():
            if "header" not in struct:
                raise Failure(f"{name}: write it as 'typedef struct {name} {{' at the start of a line")

    def _measure(self):
        lines = [self._source, "#include <stdio.h>\n",
                 '#define KIND(x) _Generic((x), int: "int", unsigned: "unsigned int", long: "long",'
                 ' unsigned long: "unsigned long", char*: "text")\n',
                 "#define NUMBER(x) _Generic((x), char*: 0ll, default: (x))\n",
                 '#define TEXT(x) _Generic((x), char*: (x), default: "")\n', "int main(void) {\n"]
        for name, struct in self.structs.items():
            lines.append(f'printf("{name} . %zu 0\\n", sizeof({name}));\n')
            for member in struct["members"]:
                lines.append(f'printf("{name} {member["name"]} %zu %zu\\n", offsetof({name}, {member["name"]}),'
                             f' sizeof((({name}*)0)->{member["name"]}));\n')
        for name in self.constants:
            lines.append(f'printf("# {name}|%s|%lld|%s\\n", KIND({name}), (long long)NUMBER({name}),'
                         f' (const char*)TEXT({name}));\n')
        lines.append("return 0; }\n")
        with tempfile.TemporaryDirectory() as folder:
            source, program = pathlib.Path(folder) / "m.c", pathlib.Path(folder) / "m"
            source.write_text("".join(lines))
            run([os.environ.get("CC", "cc"), "-std=c11", "-w", f"-I{self.include}", str(source), "-o", str(program)],
                "measuring the contracts")
            self._take(run([str(program)], "measuring the contracts"))

    def _take(self, text):
        for line in text.splitlines():
            if line.startswith("# "):
                name, kind, number, words = line[2:].split("|", 3)
                self.constants[name].update(type=kind, value=words if kind == "text" else int(number))
                continue
            name, member, first, second = line.split()
            if member == ".":
                self.structs[name]["size"] = int(first)
            else:
                found = next(m for m in self.structs[name]["members"] if m["name"] == member)
                found.update(offset=int(first), size=int(second))

    def _classify(self):
        """Growable: starts with its size; arrays of such structs are stepped through with TENON_AT.
        Fixed: no room to grow, because it carries no size or is copied by value."""
        by_value = set()
        names = "|".join(self.structs)
        value = re.compile(rf"(?:^|[(,])\s*(?:const )?({names})\s*(?=[,)]|\(|\[|$)")
        for kind in [m["type"] for s in self.structs.values() for m in s["members"]] + list(self.aliases.values()):
            by_value.update(value.findall(kind))
        for name, struct in self.structs.items():
            sized = any(m["name"] == "size" and m["type"] == "uint32_t" and m["offset"] <= 4 for m in struct["members"])
            struct["growable"] = sized and name not in by_value
            struct["why"] = "carries its size" if sized else "carries no size"
            if name in by_value:
                struct["why"] += ", copied by value"
            last = struct["members"][-1]
            struct["padding"] = struct["size"] - last["offset"] - last["size"]

    def layout(self):
        """What a release keeps."""
        return {"structs": {n: {"size": s["size"], "growable": s["growable"],
                                "members": [[m["name"], m["offset"], m["size"], m["type"]] for m in s["members"]]}
                            for n, s in self.structs.items()},
                "aliases": self.aliases,
                "constants": {n: [c["type"], c["value"]] for n, c in self.constants.items()}}
