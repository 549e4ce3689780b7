// SPDX-License-Identifier: Apache-2.0
#include "sdk/process/options.hpp"

#include <optional>

namespace tenon {

std::string daemon_help() {
    return R"(tenond runs a Tenon deployment.

Usage
  tenond --deployment FILE --data-dir DIR [--listen ADDR:PORT] [--set /pointer=value]...
  tenond --check --deployment FILE

  --deployment FILE    which plugins run, and how
  --data-dir DIR       journal, database, keys; made when missing; one tenond at a time
  --listen ADDR:PORT   where HTTP is served (default 127.0.0.1:8765); port 0 takes a free one
  --no-listen          run the plugins without opening the port, for the tools; a plugin that fails
                       does not end the daemon
  --set /pointer=value change one value of the deployment; JSON, or else text
  --plugin-path DIR    where plugins are (again for more); default: ../plugins beside this program
  --no-safe-mode       start also the plugins that crashed an earlier start
  --check              print everything that is wrong with the deployment and start nothing
  --version, --help

Exit codes
  0 stopped as asked   1 failed while running   2 wrong usage   3 wrong deployment
  4 data folder or port in use or not writable   5 a plugin with on_failure "stop" failed
)";
}

DaemonOptions parse_daemon_options(const std::vector<std::string>& arguments) {
    DaemonOptions options;
    bool listen_given = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::string name = arguments[i];
        std::optional<std::string> inline_value;
        if (const auto equals = name.find('='); name.starts_with("--") && equals != name.npos) {
            inline_value = name.substr(equals + 1);
            name.resize(equals);
        }
        const auto value = [&]() -> std::string {
            if (inline_value) {
                return *inline_value;
            }
            if (i + 1 >= arguments.size()) {
                throw UsageError{name + " needs a value"};
            }
            return arguments[++i];
        };
        if (name == "--deployment") {
            options.deployment = value();
        } else if (name == "--data-dir") {
            options.data_dir = value();
        } else if (name == "--listen") {
            options.listen = value();
            listen_given = true;
        } else if (name == "--plugin-path") {
            options.plugin_path.emplace_back(value());
        } else if (name == "--set") {
            const std::string text = value();
            const auto set = manifest::parse_override(text);
            if (!set) {
                throw UsageError{"--set \"" + text + "\" is not /json/pointer=value"};
            }
            options.overrides.push_back(*set);
        } else if (inline_value) {
            throw UsageError{"unknown option " + arguments[i]};
        } else if (name == "--no-listen") {
            options.no_listen = true;
        } else if (name == "--no-safe-mode") {
            options.safe_mode = false;
        } else if (name == "--check") {
            options.check = true;
        } else if (name == "--version") {
            options.version = true;
        } else if (name == "--help" || name == "-h") {
            options.help = true;
        } else {
            throw UsageError{"unknown option " + name};
        }
    }
    if (options.help || options.version) {
        return options;
    }
    if (options.deployment.empty()) {
        throw UsageError{"--deployment is missing"};
    }
    if (options.data_dir.empty() && !options.check) {
        throw UsageError{"--data-dir is missing"};
    }
    if (options.no_listen && listen_given) {
        throw UsageError{"--listen and --no-listen exclude each other"};
    }
    return options;
}

}  // namespace tenon
