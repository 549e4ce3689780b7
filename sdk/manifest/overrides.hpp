// SPDX-License-Identifier: Apache-2.0
// Live settings that were changed while the server ran, kept in one file of the data folder. They
// lie over the deployment and --set, at the start and at each reload, until they are unset.
//
//   {"overrides_version":1,"overrides":[{"plugin":"cache","pointer":"/prefetch","value":true,
//    "by":"user:anna","reason":"…","at_ms":…}]}
//
// The pointer starts in the plugin's settings. An override is of one setting that is live
// ("x-reload": "live", its own or that of an object around it), is no secret and holds none, and is
// no object with members of its own: those are named one by one. Rules of one that does not fit:
//   S01  the deployment has no such plugin, or not enabled
//   S02  the plugin has no such setting, or it is an object whose members are to be named
//   S03  the setting is not live
//   S04  the setting is a secret or holds one
//   S05  the file is not to be read
// and those of settings (M01, M17). Not thread-safe; the file has one writer, which reads it once.
#pragma once

#include "sdk/manifest/plan.hpp"

#include <boost/json/value.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::manifest {

struct SettingOverride {
    std::string plugin;
    std::string pointer;
    boost::json::value value;
    std::string by;
    std::string reason;
    std::int64_t at_ms = 0;

    [[nodiscard]] bool is_of(const SettingOverride& other) const {
        return plugin == other.plugin && pointer == other.pointer;
    }
};

using SettingOverrideList = std::vector<SettingOverride>;

// One that is not in force, and why.
struct Unfit {
    SettingOverride override;
    Problem problem;
};

// Gives every plugin of the plan its settings anew: the deployment's, and over them what fits of
// the list. A plan with errors is left alone. `file` is named in the problems.
[[nodiscard]] std::vector<Unfit>
lay_over(const SettingOverrideList& list, Plan& plan, const std::string& file);

class OverridesFile {
public:
    static constexpr std::size_t k_overrides_max = 1000;

    // A missing file is an empty one. One that cannot be understood is none, too: `damage` says
    // why, and the next change keeps it as FILE.damaged.
    explicit OverridesFile(std::filesystem::path file);

    [[nodiscard]] const SettingOverrideList& list() const { return list_; }

    [[nodiscard]] std::string path() const { return file_.string(); }

    // Lays the list over the plan and remembers what did not fit, which also becomes a warning of
    // the plan, as damage does.
    void apply(Plan& plan);

    [[nodiscard]] const std::vector<Unfit>& unfit() const { return unfit_; }

    // What an operator has to see to; empty when all is in force.
    [[nodiscard]] std::string complaint() const;

    // Writes a new list beside the file (mode 0600), on disk when it returns. Throws Error
    // TENON_UNAVAILABLE.
    void prepare(const SettingOverrideList& list) const;
    // Puts what was prepared in the place of the file, at once: whoever is killed meanwhile leaves
    // the old list or the new one. `unfit` is what of it does not fit. Throws as prepare does, with
    // the old list in the file.
    void commit(SettingOverrideList list, std::vector<Unfit> unfit);
    void discard() const noexcept;

private:
    std::filesystem::path file_;
    SettingOverrideList list_;
    std::vector<Unfit> unfit_;
    std::string damage_;
};

}  // namespace tenon::manifest
