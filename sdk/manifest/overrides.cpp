// SPDX-License-Identifier: Apache-2.0
#include "sdk/manifest/overrides.hpp"

#include "sdk/manifest/difference.hpp"
#include "sdk/manifest/json_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <tenon/plugin.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace tenon::manifest {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;

bool is(const json::object& schema, std::string_view keyword, const json::value& value) {
    const json::value* found = schema.if_contains(keyword);
    return found != nullptr && *found == value;
}

// Looks one override up in its plugin's schema. False: told why not.
bool is_settable(const PlannedPlugin& plugin, const SettingOverride& want, Report& report) {
    const std::string place = pointer_to("/plugins", want.plugin) + "/config" + want.pointer;
    const json::object* at = &plugin.manifest.config_schema;
    bool live = false;
    for (const std::string& token : tokens_of(want.pointer)) {
        live = live || is(*at, "x-reload", "live");
        const json::value* properties = at->if_contains("properties");
        const json::value* next =
            properties == nullptr ? nullptr : properties->get_object().if_contains(token);
        if (next == nullptr) {
            report.add("S02", place, "the plugin has no such setting", "\"" + token + "\"");
            return false;
        }
        at = &next->get_object();
    }
    if (at == &plugin.manifest.config_schema || at->contains("properties")) {
        report.add("S02", place, "an object; name one of its members");
    } else if (!live && !is(*at, "x-reload", "live")) {
        report.add("S03", place, "the setting is not live: change the deployment and restart");
    } else if (holds_secret(*at)) {
        report.add("S04", place, "a secret is changed in the place that the deployment names");
    } else {
        return true;
    }
    return false;
}

void put(json::value& config, const std::string& pointer, const json::value& value) {
    json::value* at = &config;
    for (const std::string& token : tokens_of(pointer)) {
        if (!at->is_object()) {
            at->emplace_object();
        }
        at = &at->get_object()[token];
    }
    *at = value;
}

// The first thing that is wrong with it goes to the report; else it is in the plan.
void lay_one(const SettingOverride& want, Plan& plan, Report& report, const Problems& found) {
    const auto plugin =
        std::find_if(plan.plugins.begin(), plan.plugins.end(), [&](const PlannedPlugin& have) {
            return have.instance.name == want.plugin;
        });
    if (plugin == plan.plugins.end()) {
        report.add(
            "S01",
            pointer_to("/plugins", want.plugin),
            "the deployment has no such plugin, or it is not enabled",
            "\"" + want.plugin + "\""
        );
    } else if (is_settable(*plugin, want, report)) {
        json::value config = plugin->config;
        put(config, want.pointer, want.value);
        validate(
            plugin->manifest.config_schema,
            config,
            pointer_to("/plugins", want.plugin) + "/config",
            SchemaRules{},
            report
        );
        if (found.empty()) {
            plugin->config = std::move(config.get_object());
        }
    }
}

[[noreturn]] void fail(const fs::path& file) {
    throw Error{TENON_UNAVAILABLE, file.string() + " cannot be written: " + std::strerror(errno)};
}

bool write_whole(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(fd, text.data(), text.size());
        if (wrote <= 0) {
            if (wrote < 0 && errno == EINTR) {
                continue;
            }
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return ::fsync(fd) == 0;
}

fs::path next_to(const fs::path& file) {
    return file.string() + ".new";
}

json::value entry_of(const SettingOverride& item) {
    return json::object{
        {"plugin", item.plugin},
        {"pointer", item.pointer},
        {"value", item.value},
        {"by", item.by},
        {"reason", item.reason},
        {"at_ms", item.at_ms}};
}

// What a whole file must look like; rules of its parts are seen when it is laid over a plan.
SettingOverrideList read_list(const json::value& document, std::string& damage) {
    const json::object* head = document.if_object();
    const json::value* version = head == nullptr ? nullptr : head->if_contains("overrides_version");
    const json::value* entries = head == nullptr ? nullptr : head->if_contains("overrides");
    if (version == nullptr || *version != 1 || entries == nullptr || !entries->is_array()) {
        damage = "no list of overrides of version 1";
        return {};
    }
    SettingOverrideList list;
    for (const json::value& item : entries->get_array()) {
        const json::object* entry = item.if_object();
        const json::value* value = entry == nullptr ? nullptr : entry->if_contains("value");
        SettingOverride one;
        if (value != nullptr) {
            one.plugin = text_at(*entry, "plugin");
            one.pointer = text_at(*entry, "pointer");
            one.value = *value;
            one.by = text_at(*entry, "by");
            one.reason = text_at(*entry, "reason");
            const json::value* at = entry->if_contains("at_ms");
            one.at_ms = at != nullptr && at->is_int64() ? at->get_int64() : 0;
        }
        if (one.plugin.empty() || !one.pointer.starts_with('/')) {
            damage = "override " + std::to_string(list.size() + 1) +
                     " has no plugin, no pointer or no value";
            return {};
        }
        list.push_back(std::move(one));
    }
    return list;
}

}  // namespace

std::vector<Unfit> lay_over(const SettingOverrideList& list, Plan& plan, const std::string& file) {
    std::vector<Unfit> unfit;
    if (!plan.good()) {
        return unfit;
    }
    for (PlannedPlugin& plugin : plan.plugins) {
        plugin.config = plugin.deployed;
    }
    for (const SettingOverride& want : list) {
        Problems found;
        Report report{file, found};
        lay_one(want, plan, report, found);
        if (!found.empty()) {
            unfit.push_back({want, found.front()});
        }
    }
    return unfit;
}

OverridesFile::OverridesFile(fs::path file) : file_{std::move(file)} {
    std::error_code ec;
    if (!fs::exists(file_, ec) && !ec) {
        return;
    }
    Problems problems;
    Report report{file_.string(), problems};
    const auto document = read_json_file(file_, report);
    if (document) {
        list_ = read_list(*document, damage_);
    } else {
        damage_ = problems.front().message + "; " + problems.front().found;
    }
}

void OverridesFile::apply(Plan& plan) {
    unfit_ = lay_over(list_, plan, path());
    Report report{path(), plan.problems};
    if (!damage_.empty()) {
        report.warn("S05", "", "no override is in force: " + damage_);
    }
    for (const Unfit& one : unfit_) {
        plan.problems.push_back(one.problem);
        plan.problems.back().message.insert(0, "an override is left out: ");
        plan.problems.back().warning = true;
    }
}

std::string OverridesFile::complaint() const {
    if (!damage_.empty()) {
        return path() + " is damaged, no override is in force: " + damage_;
    }
    std::string text;
    for (const Unfit& one : unfit_) {
        text.append(text.empty() ? "not in force until unset or mended: " : "; ");
        text.append(one.override.plugin + one.override.pointer + " (" + one.problem.code + " ");
        text.append(one.problem.message + ")");
        if (text.size() > 1000) {
            text.append("; and more");
            break;
        }
    }
    return text;
}

void OverridesFile::prepare(const SettingOverrideList& list) const {
    json::array entries;
    for (const SettingOverride& item : list) {
        entries.push_back(entry_of(item));
    }
    const std::string text =
        json::serialize(json::object{{"overrides_version", 1}, {"overrides", std::move(entries)}}) +
        "\n";
    const fs::path next = next_to(file_);
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(next);
    }
    const bool written = text.size() <= k_max_manifest_bytes && write_whole(fd, text);
    const int reason = text.size() <= k_max_manifest_bytes ? errno : EFBIG;
    ::close(fd);
    if (!written) {
        discard();
        errno = reason;
        fail(next);
    }
}

void OverridesFile::commit(SettingOverrideList list, std::vector<Unfit> unfit) {
    const fs::path next = next_to(file_);
    if (!damage_.empty() && ::rename(file_.c_str(), (path() + ".damaged").c_str()) != 0) {
        fail(file_);
    }
    damage_.clear();
    if (::rename(next.c_str(), file_.c_str()) != 0) {
        fail(file_);
    }
    list_ = std::move(list);
    unfit_ = std::move(unfit);
    const int folder = ::open(file_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)::fsync(folder);  // without it a crash of the machine may bring the old list back
        ::close(folder);
    }
}

void OverridesFile::discard() const noexcept {
    (void)::unlink(next_to(file_).c_str());
}

}  // namespace tenon::manifest
