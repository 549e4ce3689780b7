// SPDX-License-Identifier: Apache-2.0
// A tenond of its own on a folder of its own, with the plugins that a test names, and its admin
// tool.
#pragma once

#include "tests/integration/kernel/process.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace tenon::test {

class RunningServer {
public:
    // Instances by name: {"id":…,"config":…}. Every folder NAME/plugin.json of `plugin_path` can be
    // used. Waits until the server is ready; throws with what it said when it does not get there.
    RunningServer(
        const std::filesystem::path& tenond,
        const boost::json::object& plugins,
        const std::vector<std::filesystem::path>& plugin_path
    );
    ~RunningServer();
    RunningServer(const RunningServer&) = delete;
    RunningServer& operator=(const RunningServer&) = delete;

    // `tenon WORDS --json`; throws when the tool fails.
    [[nodiscard]] boost::json::value ask(std::vector<std::string> words) const;
    // The answer of probe.tier.
    [[nodiscard]] boost::json::value
    tier(const std::string& instance, const std::string& op, const std::string& key = "") const;
    // "started " or "failed L07 …".
    [[nodiscard]] std::string state(std::string_view instance) const;

    // True once its log holds the text.
    [[nodiscard]] bool says(const std::string& text) { return process_->says(text); }

    // SIGTERM, and what it printed until its end.
    Result stop();

private:
    std::filesystem::path dir_;
    std::unique_ptr<Process> process_;
};

}  // namespace tenon::test
