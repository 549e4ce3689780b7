// SPDX-License-Identifier: Apache-2.0
#include "kernel/loader/safe_mode.hpp"

#include "kernel/runtime/crash.hpp"
#include "sdk/manifest/json_file.hpp"

#include <boost/json/serialize.hpp>

namespace tenon::loader {

namespace {

namespace json = boost::json;

constexpr std::string_view k_file = "safe-mode.json";

// An object of the data folder; empty when it is missing or damaged.
json::object read(const runtime::DataDir& data_dir, std::string_view name) {
    manifest::Problems ignored;
    manifest::Report report{"", ignored};
    auto value = manifest::read_json_file(data_dir.path() / name, report);
    return value && value->is_object() ? std::move(value->get_object()) : json::object{};
}

}  // namespace

std::string fingerprint(const manifest::PlannedPlugin& plugin) {
    return manifest::sha256_of(plugin.manifest.sha256 + json::serialize(plugin.config));
}

SafeMode::SafeMode(const runtime::DataDir& data_dir, const manifest::Plan& plan, bool ignore)
    : data_dir_{&data_dir} {
    for (const auto& entry : read(data_dir, k_file)) {
        if (const json::object* known = entry.value().if_object(); known != nullptr && !ignore) {
            const json::value* crashes = known->if_contains("crashes");
            entries_[std::string{entry.key()}] = {
                crashes != nullptr && crashes->is_int64() ? crashes->get_int64() : 1,
                manifest::text_at(*known, "fingerprint"),
                manifest::text_at(*known, "reason")};
        }
    }
    const json::object crash = read(data_dir, runtime::k_crash_file);
    if (!crash.empty()) {
        const std::string text =
            manifest::text_at(crash, "signal") + " during " + manifest::text_at(crash, "call");
        last_ = Crash{manifest::text_at(crash, "plugin"), text};
        const json::value* ready = crash.if_contains("ready");
        if (!last_->plugin.empty() && ready != nullptr && *ready == false && !ignore) {
            Entry& entry = entries_[last_->plugin];
            const std::string print = manifest::text_at(crash, "fingerprint");
            entry = {entry.fingerprint == print ? entry.crashes + 1 : 1, print, text};
        }
    }
    // What changed or went is another plugin, and has done nothing yet.
    std::map<std::string, Entry> same;
    for (const manifest::PlannedPlugin& plugin : plan.plugins) {
        const auto known = entries_.find(plugin.instance.name);
        if (known != entries_.end() && known->second.fingerprint == fingerprint(plugin)) {
            known->second.held = known->second.crashes > (plugin.instance.stop_on_failure ? 1 : 0);
            same.insert(entries_.extract(known));
        }
    }
    entries_ = std::move(same);
    save();
    data_dir.remove(runtime::k_crash_file);
}

std::map<std::string, std::string> SafeMode::held() const {
    const std::lock_guard lock{mutex_};
    std::map<std::string, std::string> out;
    for (const auto& [instance, entry] : entries_) {
        if (entry.held) {
            out[instance] = "held back in safe mode: it crashed tenond (" + entry.text +
                            "); it is tried again when its library or settings change, after "
                            "`tenon plugins release --plugin " +
                            instance + "`, or with --no-safe-mode";
        }
    }
    return out;
}

bool SafeMode::release(const std::string& instance) {
    const std::lock_guard lock{mutex_};
    const bool known = entries_.erase(instance) != 0;
    if (known) {
        save();
    }
    return known;
}

void SafeMode::save() const {
    json::object document;
    for (const auto& [instance, entry] : entries_) {
        document[instance] = json::object{
            {"crashes", entry.crashes}, {"fingerprint", entry.fingerprint}, {"reason", entry.text}};
    }
    if (document.empty()) {
        data_dir_->remove(k_file);
    } else {
        data_dir_->write(k_file, json::serialize(document) + "\n");
    }
}

}  // namespace tenon::loader
