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
            std::int64_t number = 0;
            const char* const end = text.data() + text.size();
            const auto [last, ec] = std::from_chars(text.data(), end, number);
            if (ec != std::errc{} || last != end || number < 0) {
                throw UsageError{
                    "--sequence: found \"" + text + "\", expected a whole number from 0 on"};
            }
            view[name] = number;
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

}  // namespace

std::vector<std::string> view_overrides(const manifest::Plan& plan, const json::object& view) {
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
        "/plugins/" + plan.plugins[engine].instance.name + "/config/view=" + json::serialize(view)
    );
    return overrides;
}

json::value
journal_at(const Arguments& arguments, const manifest::Plan& plan, const fs::path& deployment) {
    const std::vector<std::string> view = view_overrides(plan, view_settings(arguments));
    std::vector<std::string> overrides = arguments.overrides;
    overrides.insert(overrides.end(), view.begin(), view.end());
    const TemporaryFolder folder;
    TemporaryServer server{{folder.path(), deployment, arguments.plugin_path, overrides}};
    return server.client().run("journal.at", {});
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
    text += "\nopen orders\n" + readable(orders);
    text += "\nbooks\n" + readable(levels);
    return text;
}

}  // namespace tenon::cli
