// SPDX-License-Identifier: Apache-2.0
// A plugin's folder as an installation of another build of it leaves it.
#pragma once

#include "tests/unit/kernel/scene.hpp"

#include <string>

namespace tenon::test {

// Another library: the same code, with bytes at its end that nothing reads.
inline std::string another_build(std::string library, int number) {
    return library + "build " + std::to_string(number);
}

// Puts a library into the folder, by rename, and its hash into the manifest.
inline void install(const fs::path& folder, const std::string& library) {
    json::value manifest = json::parse(read_file(folder / "plugin.json"));
    json::object& stamp = manifest.at("library").as_object();
    const fs::path file = folder / stamp.at("file").as_string().c_str();
    write_file(file.string() + ".new", library);
    fs::rename(file.string() + ".new", file);
    stamp["sha256"] = manifest::sha256_of(library);
    write_file(folder / "plugin.json.new", json::serialize(manifest));
    fs::rename(folder / "plugin.json.new", folder / "plugin.json");
}

}  // namespace tenon::test
