// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/program.hpp"

int main(int argc, char** argv) {
    return tenon::conformance::run_program({argv + 1, argv + argc});
}
