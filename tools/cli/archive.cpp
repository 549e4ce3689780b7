// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/archive.hpp"

#include "tools/cli/pages.hpp"

#include <array>
#include <utility>

namespace tenon::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view k_usage =
    "usage: tenon archive run | list [NAME] | query NAME [--from T] [--to T] [--where "
    "column=value]... [--format csv|json] | restore ID|NAME [--from T] [--to T] | verify [ID] | "
    "hold [NAME] --reason TEXT [--from T] [--to T] | release ID";

// A command, what its word means, and whether it needs one.
struct Action {
    std::string_view name, option;
    bool is_needed;
};

constexpr std::array<Action, 7> k_actions{
    {{"run", "", false},
     {"list", "table", false},
     {"query", "table", true},
     {"restore", "what", true},
     {"verify", "id", false},
     {"hold", "table", false},
     {"release", "id", true}}};

}  // namespace

Arguments archive_arguments(Arguments arguments) {
    for (const Action& action : k_actions) {
        if (arguments.words.size() < 2 || arguments.words[1] != action.name) {
            continue;
        }
        const std::size_t least = action.is_needed ? 3 : 2;
        const std::size_t most = action.option.empty() ? 2 : 3;
        if (arguments.words.size() < least || arguments.words.size() > most) {
            break;
        }
        if (arguments.words.size() == 3) {
            arguments.options[action.option] = arguments.words[2];
            arguments.words.pop_back();
        }
        if (action.name == "hold" && !arguments.options.contains("reason")) {
            break;
        }
        return arguments;
    }
    throw UsageError{std::string{k_usage}};
}

json::value run_archive(AdminClient& client, const Arguments& arguments) {
    if (arguments.words[1] != "query") {
        return client.run(arguments.command(), arguments.options);
    }
    json::object options = arguments.options;
    if (arguments.json) {
        options["format"] = "json";
    }
    print_pages(client, arguments.command(), std::move(options));
    return nullptr;
}

}  // namespace tenon::cli
