// SPDX-License-Identifier: Apache-2.0
#include "kernel/daemon.hpp"
#include "sdk/loading/scan.hpp"

#include <cstdio>
#include <exception>
#include <string_view>

int main(int argc, char** argv) {
    if (argc == 5 && std::string_view{argv[1]} == tenon::loader::k_try_library) {
        tenon::loader::try_library_here(argv + 2);
    }
    try {
        const auto options = tenon::parse_daemon_options({argv + 1, argv + argc});
        if (options.help) {
            (void)std::fputs(tenon::daemon_help().c_str(), stdout);
            return tenon::k_exit_ok;
        }
        if (options.version) {
            (void)std::puts("tenond " TENON_VERSION);
            return tenon::k_exit_ok;
        }
        return tenon::run_daemon(options);
    } catch (const tenon::UsageError& e) {
        (void)std::fprintf(stderr, "tenond: %s (see tenond --help)\n", e.what());
        return tenon::k_exit_usage;
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "tenond: %s\n", e.what());
        return tenon::k_exit_failure;
    }
}
