// SPDX-License-Identifier: Apache-2.0
// A bounded sequence that forgets its oldest element. Memory grows with use, up to the bound.
#pragma once

#include <cstddef>
#include <vector>

namespace tenon::market_data {

template <class T>
class Ring {
public:
    explicit Ring(std::size_t capacity) : capacity_{capacity} {}

    void push(const T& value) {
        if (values_.size() < capacity_) {
            values_.push_back(value);
        } else {
            values_[first_] = value;
            first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }

    [[nodiscard]] bool empty() const noexcept { return values_.empty(); }

    // 0 is the oldest.
    [[nodiscard]] const T& operator[](std::size_t i) const { return values_[slot(i)]; }

    [[nodiscard]] T& operator[](std::size_t i) { return values_[slot(i)]; }

    [[nodiscard]] const T& back() const { return (*this)[size() - 1]; }

    [[nodiscard]] T& back() { return (*this)[size() - 1]; }

    // The first position whose element does not fulfil `before`; the elements are ordered by it.
    template <class Before>
    [[nodiscard]] std::size_t partition_point(Before before) const {
        std::size_t low = 0;
        std::size_t high = size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (before((*this)[middle])) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

private:
    [[nodiscard]] std::size_t slot(std::size_t i) const noexcept {
        const std::size_t at = first_ + i;
        return at < values_.size() ? at : at - values_.size();
    }

    std::size_t capacity_;
    std::size_t first_ = 0;
    std::vector<T> values_;
};

}  // namespace tenon::market_data
