// SPDX-License-Identifier: Apache-2.0
// `tenon verify`: does a fresh deployment work? Public endpoints, then a limit order of the demo
// account far from the market, placed and cancelled with a key that exists only for that long.
#pragma once

#include "tools/cli/admin_client.hpp"

#include <boost/json/object.hpp>

#include <filesystem>
#include <functional>
#include <string>

namespace tenon::cli {

struct VerifySettings {
    std::filesystem::path data_dir;
    std::string address;  // empty: as recorded in the data folder
    std::string account = "demo";
    std::string symbol;  // empty: the first that trades
};

// Told after each step.
using StepReport = std::function<void(const boost::json::object& step)>;

// {"ok":bool,"address":…,"steps":[{"step","ok","detail","elapsed_us"}]}. Stops at the first step
// that fails; the key is revoked and the order cancelled in any case.
[[nodiscard]] boost::json::object
verify(AdminClient& client, const VerifySettings& settings, const StepReport& report);

// A price near half of the market's that a limit order may have, and the smallest quantity that is
// worth enough. Decimals as text; nothing is ever rounded through floating point.
struct FarOrder {
    std::string price;
    std::string quantity;
};

[[nodiscard]] FarOrder far_order(const boost::json::object& symbol, const std::string& last_price);

}  // namespace tenon::cli
