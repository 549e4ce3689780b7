// SPDX-License-Identifier: Apache-2.0
// A folder of its own with plugins (manifest and a file for a library) and a deployment, for tests
// of what is wrong with them.
#pragma once

#include "sdk/manifest/plan.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tenon::test {

namespace fs = std::filesystem;
namespace json = boost::json;

class TempDir {
public:
    TempDir() {
        std::string pattern = (fs::temp_directory_path() / "tenon-kernel-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) {
            throw std::runtime_error{"no temporary folder"};
        }
        path_ = pattern;
    }

    ~TempDir() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }

    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;

    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

inline void write_file(const fs::path& file, std::string_view text) {
    fs::create_directories(file.parent_path());
    std::ofstream out{file, std::ios::binary};
    out << text;
}

inline std::string read_file(const fs::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

class Scene {
public:
    // A plugin `x` has the id test.x; `extra` replaces members of its manifest.
    fs::path plugin(const std::string& name, std::string_view extra = "{}") {
        json::object manifest{
            {"manifest_version", 1},
            {"id", "test." + name},
            {"version", "1.2.3"},
            {"abi", {{"entry", 1}, {"min", "1.0"}}},
            {"library", {{"file", name + ".so"}}}};
        const json::value replaced = json::parse(extra);
        for (const auto& entry : replaced.as_object()) {
            manifest[entry.key()] = entry.value();
        }
        const fs::path folder = dir_.path() / "plugins" / name;
        write_file(folder / "plugin.json", json::serialize(manifest));
        write_file(folder / (name + ".so"), "library of " + name);
        return folder;
    }

    // `plugins` of the deployment, as JSON text.
    manifest::Plan plan(std::string_view plugins, std::string_view head = "") {
        return plan_of_text(
            "{\"deployment_version\":1," + std::string{head} +
            "\"plugins\":" + std::string{plugins} + "}"
        );
    }

    manifest::Plan plan_of_text(const std::string& text) {
        write_file(file(), text);
        return manifest::make_plan(file(), overrides, {}, {dir_.path() / "plugins"});
    }

    [[nodiscard]] fs::path file() const { return dir_.path() / "deployment.json"; }

    [[nodiscard]] const fs::path& path() const { return dir_.path(); }

    std::vector<manifest::Override> overrides;

private:
    TempDir dir_;
};

// True when the plan has this problem; the pointer is compared whole.
inline bool has(const manifest::Plan& plan, std::string_view code, std::string_view pointer) {
    return std::any_of(plan.problems.begin(), plan.problems.end(), [&](const auto& problem) {
        return problem.code == code && problem.pointer == pointer;
    });
}

inline std::string text_of(const manifest::Plan& plan) {
    std::string text;
    for (const auto& problem : plan.problems) {
        text += manifest::to_text(problem) + "\n";
    }
    return text;
}

}  // namespace tenon::test
