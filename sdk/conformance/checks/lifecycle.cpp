// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"

namespace tenon::conformance {
namespace {

void create_works(Context& check) {
    Instance& plugin = check.fresh();
    const Answer answer = plugin.create();
    check.require(answer.ok(), "L07 create answers " + answer.text());
}

void configure_works(Context& check) {
    Instance& plugin = check.created();
    const Answer answer = plugin.configure(check.config());
    check.require(
        answer.ok(), "L07 configure with " + check.config() + " answers " + answer.text()
    );
}

void start_works(Context& check) {
    Instance& plugin = check.configured();
    const Answer answer = plugin.start();
    check.require(answer.ok(), "L07 start answers " + answer.text());
}

constexpr Check k_checks[] = {
    {"lifecycle.create", "create gives a plugin", "", &create_works},
    {"lifecycle.configure", "configure takes the schema's defaults", "", &configure_works},
    {"lifecycle.start", "start works with the schema's defaults", "", &start_works},
};

}  // namespace

std::span<const Check> lifecycle_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
