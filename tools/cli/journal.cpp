// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/journal.hpp"

#include "tools/cli/admin_client.hpp"
#include "tools/cli/output.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <set>
#include <system_error>

namespace tenon::cli {

namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::string_view k_usage =
    "usage: tenon journal at TIME | --sequence N [--account A] [--symbol S]";

constexpr std::string_view k_replay_usage =
    "usage: tenon journal replay [--from TIME | --from-sequence N] [--to TIME | --to-sequence N] "
    "[--risk JSON]... [--set POINTER=VALUE]... [--deployment FILE] [--show N]";

// A folder that goes with the object.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name = (fs::temp_directory_path() / "tenon-journal-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::system_error{errno, std::generic_category(), "cannot make " + name};
        }
        path_ = name;
    }

    ~TemporaryFolder() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }

    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

std::int64_t whole_number(std::string name, const std::string& text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [last, ec] = std::from_chars(text.data(), end, number);
    if (ec != std::errc{} || last != end || number < 0) {
        std::replace(name.begin(), name.end(), '_', '-');
        throw UsageError{
            "--" + name + ": found \"" + text + "\", expected a whole number from 0 on"};
    }
    return number;
}

json::object replay_settings(const Arguments& arguments) {
    json::object replay{{"data_dir", fs::absolute(arguments.data_dir).lexically_normal().string()}};
    for (const auto& [key, value] : arguments.options) {
        const std::string name{key};
        if (name == "risk") {
            replay[name] = value.is_array() ? value : json::value(json::array{value});
            continue;
        }
        if (!value.is_string()) {
            throw UsageError{"--" + name + " needs one value"};
        }
        const std::string text{value.get_string()};
        if (name == "from" || name == "to") {
            replay[name + "_time"] = text;
        } else if (name == "from_sequence" || name == "to_sequence") {
            replay[name] = whole_number(name, text);
        } else if (name == "show") {
            replay["shown"] = whole_number(name, text);
        } else {
            throw UsageError{"--" + name + " is not known; " + std::string{k_replay_usage}};
        }
    }
    const auto twice = [&](const std::string& name) {
        return replay.contains(name + "_time") && replay.contains(name + "_sequence");
    };
    if (arguments.words.size() > 2 || twice("from") || twice("to")) {
        throw UsageError{std::string{k_replay_usage}};
    }
    return replay;
}

json::object view_settings(const Arguments& arguments) {
    json::object view{{"data_dir", fs::absolute(arguments.data_dir).lexically_normal().string()}};
    for (const auto& [key, value] : arguments.options) {
        const std::string name{key};
        if (!value.is_string()) {
            throw UsageError{"--" + name + " needs one value"};
        }
        const std::string text{value.get_string()};
        if (name == "account" || name == "symbol") {
            view[name] = text;
        } else if (name == "sequence") {
            view[name] = whole_number(name, text);
        } else {
            throw UsageError{"--" + name + " is not known; " + std::string{k_usage}};
        }
    }
    if (arguments.words.size() > 3 || (arguments.words.size() == 3) == view.contains("sequence")) {
        throw UsageError{std::string{k_usage}};
    }
    if (arguments.words.size() == 3) {
        view["time"] = arguments.words[2];
    }
    return view;
}

// The engine and what it cannot do without, directly or not.
std::set<std::size_t> needed(const manifest::Plan& plan, std::size_t engine) {
    std::set<std::size_t> kept;
    std::vector<std::size_t> open{engine};
    while (!open.empty()) {
        const std::size_t at = open.back();
        open.pop_back();
        if (!kept.insert(at).second) {
            continue;
        }
        for (const auto& [interface_id, providers] : plan.plugins[at].providers) {
            const auto* const requirement = plan.plugins[at].manifest.requirement(interface_id);
            if (requirement != nullptr && !requirement->optional) {
                open.insert(open.end(), providers.begin(), providers.end());
            }
        }
    }
    return kept;
}

// What it is bound to of those that stay; a name of another would be an error.
json::object kept_bindings(
    const manifest::Plan& plan,
    const manifest::PlannedPlugin& plugin,
    const std::set<std::size_t>& kept
) {
    json::object bindings;
    for (const auto& [requirement, names] : plugin.instance.bind) {
        json::array staying;
        for (const std::size_t at : kept) {
            const std::string& name = plan.plugins[at].instance.name;
            if (std::find(names.begin(), names.end(), name) != names.end()) {
                staying.emplace_back(name);
            }
        }
        if (!staying.empty()) {
            bindings[requirement] = std::move(staying);
        }
    }
    return bindings;
}

// What a process of its own says, of the deployment with these --set.
json::value ask(
    const fs::path& deployment,
    const std::vector<fs::path>& plugin_path,
    std::vector<std::string> overrides,
    const std::vector<std::string>& view,
    const std::string& command
) {
    overrides.insert(overrides.end(), view.begin(), view.end());
    const TemporaryFolder folder;
    TemporaryServer server{{folder.path(), deployment, plugin_path, overrides}};
    return server.client().run(command, {});
}

}  // namespace

std::vector<std::string>
view_overrides(const manifest::Plan& plan, std::string_view name, const json::object& value) {
    std::size_t engine = 0;
    while (engine < plan.plugins.size() &&
           plan.plugins[engine].manifest.id != "tenon.trading.engine") {
        ++engine;
    }
    if (engine == plan.plugins.size()) {
        throw UsageError{"the deployment has no trading engine"};
    }
    const std::set<std::size_t> kept = needed(plan, engine);
    std::vector<std::string> overrides;
    for (std::size_t at = 0; at < plan.plugins.size(); ++at) {
        const manifest::PlannedPlugin& plugin = plan.plugins[at];
        const std::string place = "/plugins/" + plugin.instance.name;
        if (!kept.contains(at)) {
            overrides.push_back(place + "/enabled=false");
        } else if (!plugin.instance.bind.empty()) {
            overrides.push_back(
                place + "/bind=" + json::serialize(kept_bindings(plan, plugin, kept))
            );
        }
    }
    overrides.push_back(
        "/plugins/" + plan.plugins[engine].instance.name + "/config/" + std::string{name} + "=" +
        json::serialize(value)
    );
    return overrides;
}

json::value
journal_at(const Arguments& arguments, const manifest::Plan& plan, const fs::path& deployment) {
    const auto view = view_overrides(plan, "view", view_settings(arguments));
    return ask(deployment, arguments.plugin_path, arguments.overrides, view, "journal.at");
}

json::value journal_replay(
    const Arguments& arguments,
    const manifest::Plan& recorded,
    const fs::path& recorded_deployment,
    const manifest::Plan& changed,
    const fs::path& changed_deployment
) {
    const TemporaryFolder work;
    json::object replay = replay_settings(arguments);
    replay["work_dir"] = work.path().string();
    (void)ask(
        recorded_deployment,
        arguments.plugin_path,
        {},
        view_overrides(recorded, "replay", replay),
        "journal.replay"
    );
    replay["changed"] = true;
    return ask(
        changed_deployment,
        arguments.plugin_path,
        arguments.overrides,
        view_overrides(changed, "replay", replay),
        "journal.replay"
    );
}

std::string readable_replay(const json::value& answer) {
    const json::object& replay = answer.as_object();
    json::object head;
    for (const auto& [key, value] : replay) {
        if (!value.is_array()) {
            head[key] = value;
        }
    }
    std::string text = readable(head);
    for (const auto& [title, name] :
         {std::pair{"outcomes", "outcomes"},
          std::pair{"accounts", "accounts"},
          std::pair{"balances", "balances"},
          std::pair{"first differences", "first"}}) {
        const json::array& rows = replay.at(name).as_array();
        if (!rows.empty()) {
            text.append("\n").append(title).append("\n").append(readable(rows));
        }
    }
    return text;
}

std::string readable_view(const json::value& answer) {
    const json::object& view = answer.as_object();
    json::object head;
    for (const auto& [key, value] : view) {
        if (!value.is_array()) {
            head[key] = value;
        }
    }
    json::array balances;
    for (const json::value& account : view.at("accounts").as_array()) {
        for (const auto& [asset, balance] : account.at("balances").as_object()) {
            balances.push_back(
                {{"account", account.at("name")},
                 {"asset", asset},
                 {"free", balance.at("free")},
                 {"locked", balance.at("locked")}}
            );
        }
    }
    json::array levels;
    for (const json::value& book : view.at("books").as_array()) {
        for (const char* const side : {"asks", "bids"}) {
            for (const json::value& level : book.at(side).as_array()) {
                levels.push_back(
                    {{"symbol", book.at("symbol")},
                     {"side", side},
                     {"price", level.at(0)},
                     {"quantity", level.at(1)}}
                );
            }
        }
    }
    const json::array& orders = view.at("open_orders").as_array();
    std::string text = readable(head);
    text += "\nbalances\n" + readable(balances);
    const json::array& risk = view.at("risk").as_array();
    text += "\nrisk limits\n" + readable(risk);
    text += "\nopen orders\n" + readable(orders);
    text += "\nbooks\n" + readable(levels);
    return text;
}

}  // namespace tenon::cli
