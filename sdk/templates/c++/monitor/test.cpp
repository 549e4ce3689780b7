// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "disk.hpp"

#include <string_view>

int main() {
    CHECK(free_bytes(".") >= 0);
    expect_room(10, 10);

    std::string said;
    try {
        expect_room(5 << 20, 7 << 20);
    } catch (const tenon::Error& e) {
        said = e.what();
    }
    CHECK(said == "the disk of the data folder has 5 MiB left, wanted 7");

    bool refused = false;
    try {
        (void)free_bytes("/no/such/folder");
    } catch (const tenon::Error&) {
        refused = true;
    }
    CHECK(refused);
    return failures();
}
