// SPDX-License-Identifier: Apache-2.0
// What others are bound to: an instance by its name, whichever code it runs.
//
// They get the plugin's own tables, unless its manifest says that its code can be replaced while it
// is in use ("reload": "replace"): then they get tables that pass each call on (sdk/forward).
#pragma once

#include "kernel/loader/plugin_slot.hpp"
#include "sdk/forward/cell.hpp"

#include <atomic>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::loader {

using Offers = std::vector<std::pair<std::string, tenon_iface>>;

class Binding {
public:
    explicit Binding(const PluginSlot& slot);

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] bool replaceable() const { return !cells_.empty(); }

    // [any] An interface, when the instance is usable.
    [[nodiscard]] tenon_status query(std::string_view id, tenon_iface* out) const;

    // [control] Throws Error, rule L06, when the interfaces cannot be passed on to.
    void check(const Offers& offers) const;
    // [control] New look-ups and calls go to these; they were checked.
    void point(const PluginSlot& slot, const Offers& offers);
    // [control] After forward::quiesce.
    void settle();
    // [control] Before `point` back to an instance that was pointed away from.
    void rejoin(const Offers& offers) const;

private:
    const std::string name_;
    std::atomic<const PluginSlot*> slot_;
    mutable std::deque<forward::Cell> cells_;
};

}  // namespace tenon::loader
