// SPDX-License-Identifier: Apache-2.0
// What the book does not show of its icebergs.
#pragma once

#include "sdk/triggers/id_table.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tenon::internal {

struct Iceberg {
    std::int64_t hidden = 0;   // behind what is shown
    std::int64_t display = 0;  // shown at a time, at most
};

// By order id. Nothing is allocated once it is as large as the number of icebergs.
class IcebergPool {
public:
    void insert(std::uint64_t order_id, const Iceberg& iceberg) {
        std::uint32_t place = 0;
        if (free_.empty()) {
            place = static_cast<std::uint32_t>(pool_.size());
            pool_.push_back(iceberg);
        } else {
            place = free_.back();
            free_.pop_back();
            pool_[place] = iceberg;
        }
        ids_.insert(order_id, place);
    }

    // Of one that is there.
    [[nodiscard]] Iceberg& operator[](std::uint64_t order_id) noexcept {
        return pool_[ids_.find(order_id)];
    }

    [[nodiscard]] const Iceberg& operator[](std::uint64_t order_id) const noexcept {
        return pool_[ids_.find(order_id)];
    }

    void erase(std::uint64_t order_id) {
        free_.push_back(ids_.find(order_id));
        ids_.erase(order_id);
    }

    [[nodiscard]] std::size_t size() const noexcept { return pool_.size() - free_.size(); }

private:
    std::vector<Iceberg> pool_;
    std::vector<std::uint32_t> free_;
    IdTable ids_;
};

}  // namespace tenon::internal
