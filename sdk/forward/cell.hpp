// SPDX-License-Identifier: Apache-2.0
// One interface of a plugin whose code can be replaced while others use it: they hold the cell and
// a table of this library, and each call goes on to the instance that the cell points at.
//
// Only interfaces whose calls leave nothing behind can be passed on: no handle that a later call is
// to be made with, no callback that is kept. These are tenon.probe/1, tenon.throttle/1, and
// tenon.cache_tier/1 of tiers that are not shared. Of a throttle the ids of the limits are
// kept by callers: the instance that follows gives the same ones.
#pragma once

#include <tenon/abi/base.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::forward {

class Cell {
public:
    explicit Cell(std::string interface_id) : id_{std::move(interface_id)} {}

    [[nodiscard]] const std::string& id() const { return id_; }

    // Why calls cannot be passed on to this one; "" when they can.
    [[nodiscard]] std::string objection(const tenon_iface& to) const;

    // [control] From now on calls go there, to one without objection. Those under way end where
    // they began: quiesce() waits for them.
    void point(const tenon_iface& to);
    // [control] After quiesce(): what was pointed at before is forgotten.
    void settle();
    // [control] Before an instance is pointed at again that calls went past meanwhile: a cache tier
    // forgets all, since it heard of no change.
    void rejoin(const tenon_iface& to) const;

    // [any] What callers hold; without a table before the first point().
    [[nodiscard]] tenon_iface iface() noexcept;

    // [any] Within a Passage.
    [[nodiscard]] const tenon_iface& target() const noexcept {
        return *target_.load(std::memory_order_acquire);
    }

private:
    const std::string id_;
    std::atomic<const tenon_iface*> target_{nullptr};
    std::atomic<const void*> table_{nullptr};
    std::vector<std::unique_ptr<const tenon_iface>> targets_;  // [control]
};

}  // namespace tenon::forward
