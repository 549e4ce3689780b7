// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "steps.hpp"

#include <set>

int main() {
    CHECK(checksum("") == "cbf29ce484222325");
    CHECK(checksum("a") == "af63dc4c8601ec8c");
    std::set<std::string_view> names;
    for (const Step& step : k_steps) {
        CHECK(!step.sql.empty());
        CHECK(names.insert(step.name).second);
    }
    return failures();
}
