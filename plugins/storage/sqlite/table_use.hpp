// SPDX-License-Identifier: Apache-2.0
// What a statement reads and writes, as SQLite's authorizer tells while it compiles the statement:
// also what its views, triggers and foreign keys touch.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::sqlite {

class TableUse {
public:
    // One call of the authorizer.
    void note(int action, const char* a, const char* b, bool inner);

    // All of them, once each.
    [[nodiscard]] const std::vector<std::string>& tables() const noexcept { return tables_; }

    // Slots of QueryCache.
    [[nodiscard]] const std::vector<std::uint16_t>& read() const noexcept { return read_; }

    [[nodiscard]] const std::vector<std::uint16_t>& written() const noexcept { return written_; }

    // Its rows depend on the tables and the values alone.
    [[nodiscard]] bool is_repeatable() const noexcept { return repeatable_ && !read_.empty(); }

    // "insert", "update" or "delete" of the statement itself, and its table; empty: none.
    [[nodiscard]] std::string_view operation() const noexcept { return operation_; }

    [[nodiscard]] const std::string& target() const noexcept { return target_; }

private:
    void touch(const char* table, std::vector<std::uint16_t>& slots);

    std::vector<std::string> tables_;
    std::vector<std::uint16_t> read_;
    std::vector<std::uint16_t> written_;
    std::string_view operation_;
    std::string target_;
    bool repeatable_ = true;
};

}  // namespace tenon::sqlite
