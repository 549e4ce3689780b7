// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/commands.hpp"

int main(int argc, char** argv) {
    return tenon::cli::run({argv + 1, argv + argc});
}
