// SPDX-License-Identifier: Apache-2.0
// A deployment of the kernel's test plugins, tenond on it and the tool, for the tests of this
// folder.
#pragma once

#include "tests/integration/kernel/process.hpp"
#include "tests/unit/kernel/scene.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

// A deployment in a folder of its own, and the programs that run it.
struct Bench {
    explicit Bench(const std::string& plugins, const std::string& head = "") {
        write_file(
            dir.path() / "d.json",
            "{\"deployment_version\":1," + head + "\"plugins\":" + plugins + "}"
        );
    }

    [[nodiscard]] std::vector<std::string> command(
        std::vector<std::string> extra = {"--listen", "127.0.0.1:0"}
    ) const {
        std::vector<std::string> all{
            (build_dir() / "bin/tenond").string(),
            "--deployment",
            (dir.path() / "d.json").string(),
            "--data-dir",
            data().string(),
            "--plugin-path",
            (build_dir() / "tests/kernel-plugins").string()};
        all.insert(all.end(), extra.begin(), extra.end());
        return all;
    }

    // `tenon WORDS --json` on this folder.
    [[nodiscard]] Result tool(std::vector<std::string> words) const {
        words.insert(words.begin(), (build_dir() / "bin/tenon").string());
        words.insert(words.end(), {"--json", "--data-dir", data().string()});
        return run(words);
    }

    [[nodiscard]] json::value ask(std::vector<std::string> words) const {
        const Result result = tool(std::move(words));
        INFO(result.out << result.err);
        REQUIRE(result.code == 0);
        return json::parse(result.out);
    }

    [[nodiscard]] std::filesystem::path data() const { return dir.path() / "data"; }

    TempDir dir;
};

inline std::string state_of(const json::value& report, std::string_view name) {
    for (const json::value& plugin : report.at("plugins").as_array()) {
        if (plugin.at("name") == json::value(name)) {
            return std::string{plugin.at("state").as_string()} + " " +
                   std::string{plugin.at("error").as_string()};
        }
    }
    return "none";
}

inline bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace tenon::test
