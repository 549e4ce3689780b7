// SPDX-License-Identifier: Apache-2.0
// What was typed after `tenon load`, checked.
#pragma once

#include "tools/cli/arguments.hpp"
#include "tools/load/result.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace tenon::cli {

struct LoadOptions {
    load::Question question;
    unsigned rounds = 1;
    double timeout_s = 10, ramp_from = 0, errors_max = 0.01;
    std::vector<std::string> paths;    // of the scenario `get`
    std::vector<std::string> symbols;  // empty: those that trade, four at most
    std::string stream;                // of `fanout`; empty: trades of the symbols
    std::string account = "demo", key, secret;
    unsigned accounts = 0;  // 0: one for each hundred users
    std::filesystem::path out, html, baseline;
    std::string metric = "auto";
    statistics::Bars bars;
    bool quiet = false;
};

// Throws UsageError: also on an option that is not known.
[[nodiscard]] LoadOptions load_options(const Arguments& arguments, const std::string& scenario);

}  // namespace tenon::cli
