// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/instrumentation.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <string>

TEST_CASE("every outcome of the ABI has its name in metrics", "[engine][T3][M1]") {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    REQUIRE(source != nullptr);
    std::ifstream header{std::string{source} + "/sdk/include/tenon/abi/trading.h"};
    const std::regex outcome{R"(^#define TENON_REJECT_([A-Z_]+) +([0-9]+).*)"};
    std::uint32_t seen = 0;
    for (std::string line; std::getline(header, line);) {
        std::smatch found;
        if (std::regex_match(line, found, outcome)) {
            std::string name = found[1];
            std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
                return static_cast<char>(std::tolower(c));
            });
            CHECK(
                tenon::engine::reject_name(static_cast<std::uint32_t>(std::stoul(found[2]))) == name
            );
            ++seen;
        }
    }
    CHECK(seen == tenon::engine::k_reject_end);
}
