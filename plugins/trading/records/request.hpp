// SPDX-License-Identifier: Apache-2.0
// One request of the native API, taken apart: decoded parameters, the body as JSON, who asks.
#pragma once

#include <tenon/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::records {

struct Caller {
    std::uint64_t account = 0;
    bool may_read = false, may_trade = false, is_admin = false;
};

// The parameters of a query string; each name once. Those that nobody asks for are refused.
class Parameters {
public:
    static constexpr std::size_t k_max = 32;

    Parameters() = default;
    // Throws ApiFailure for a broken escape, text that is not UTF-8, a name that stands twice, or
    // more than k_max.
    explicit Parameters(std::string_view query);

    // NULL when absent. Counts as read.
    [[nodiscard]] const std::string* find(std::string_view name);
    // Throws ApiFailure for the first one that was not read.
    void finish() const;

private:
    struct Entry {
        std::string name, value;
        bool is_read;
    };

    std::vector<Entry> entries_;
};

struct Request {
    std::string method, path, tail, query, body;
    Caller caller;
    std::int64_t now_real_ns = 0;

    // The body as an object; "" counts as {}. Throws ApiFailure.
    [[nodiscard]] Json object() const;
};

struct Answer {
    std::uint32_t status = 200;
    std::string body;
    std::int64_t age_ms = -1;  // of one that may have been kept; else below 0
};

}  // namespace tenon::records
