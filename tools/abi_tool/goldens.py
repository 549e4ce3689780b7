# SPDX-License-Identifier: Apache-2.0
"""Golden plugins: small plugins kept as binaries, one set a release, that every later host must run."""
import os
import pathlib
import shutil
import tempfile

from .headers import Failure, run

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# The C++ runtime is linked in: a binary of a release depends on the C library alone.
COMPILERS = {
    ".c": [os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE"],
    ".cpp": [os.environ.get("CXX", "g++"), "-std=c++20", "-fno-gnu-unique", "-fvisibility-inlines-hidden",
             "-static-libstdc++", "-static-libgcc"],
}


def sources(folder):
    """{name: (source, manifest)} of the golden plugins in a folder."""
    found = {}
    for manifest in sorted(folder.glob("*/plugin.json")):
        source = [p for p in manifest.parent.iterdir() if p.suffix in COMPILERS]
        if len(source) != 1:
            raise Failure(f"{manifest.parent}: expected one source, found {len(source)}")
        found[manifest.parent.name] = (source[0], manifest)
    return found


def compile_plugin(source, library, sdk, scratch, include):
    """A small, stripped library with the entry as its only symbol and no path of this machine."""
    text = (source.parent / "plugin.json").read_text()
    values = {key: text.split(f'"{key}": "', 1)[1].split('"', 1)[0] for key in ("id", "version")}
    run([*COMPILERS[source.suffix], *WARNINGS, "-O2", "-fPIC", "-shared", "-s", "-fvisibility=hidden",
         "-ffunction-sections", "-fdata-sections", f"-ffile-prefix-map={source.parent.parent}=.",
         f"-ffile-prefix-map={include}=include", f"-I{include}",
         f'-DTENON_PLUGIN_ID="{values["id"]}"', f'-DTENON_PLUGIN_VERSION="{values["version"]}"', str(source),
         "-o", str(library), "-Wl,--gc-sections", "-Wl,-z,defs", "-Wl,-z,nodelete", "-Wl,-z,relro", "-Wl,-z,now",
         "-Wl,-z,noexecstack", "-Wl,--build-id=none", f"-Wl,--version-script={sdk}/cmake/tenon-plugin.map"],
        f"building {source.name}")
    runtime = "none" if source.suffix == ".c" else "libstdc++-static"
    stamped = scratch / "plugin.json"
    run(["cmake", f"-DMANIFEST={source.parent / 'plugin.json'}", f"-DLIBRARY={library}", f"-DOUT={stamped}",
         f"-DCXX_RUNTIME={runtime}", "-P", f"{sdk}/cmake/stamp-manifest.cmake"], f"stamping {source.name}")
    return stamped


def build(sdk, include, plugins, release):
    """Builds the plugins into release/golden, each with its manifest and source beside it."""
    out = release / "golden"
    if out.exists():
        raise Failure(f"{out} is there already: what a release was tested with is never rebuilt")
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        built = scratch / "golden"
        for name, (source, _) in sources(plugins).items():
            (built / name).mkdir(parents=True)
            stamped = compile_plugin(source, built / name / f"{name}.so", sdk, scratch, include)
            shutil.copy(stamped, built / name / "plugin.json")
            shutil.copy(source, built / name / source.name)
            print(f"abi: {name}.so, {(built / name / f'{name}.so').stat().st_size} bytes")
        for shared in plugins.glob("*.h"):
            shutil.copy(shared, built)
        release.mkdir(exist_ok=True)
        shutil.copytree(built, out)
