// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/copy/model.hpp"

#include <charconv>

namespace tenon::copy {
namespace {

std::int64_t integer_of(const std::string& text) {
    std::int64_t value = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::string between(std::string_view text, char mark) {
    std::string out{mark};
    for (const char c : text) {
        out.append(c == mark ? 2 : 1, c);
    }
    out.push_back(mark);
    return out;
}

}  // namespace

std::string_view name_of(Kind kind) noexcept {
    switch (kind) {
        case Kind::integer:
            return "integer";
        case Kind::real:
            return "real";
        case Kind::text:
            return "text";
        case Kind::blob:
            return "blob";
        default:
            return "decimal";
    }
}

std::string quoted(std::string_view name) {
    return between(name, '"');
}

std::string literal(std::string_view text) {
    return between(text, '\'');
}

std::string row_name(const Table& table, const Key& key) {
    std::string out = table.name + " (";
    for (std::size_t i = 0; i < key.size(); ++i) {
        out.append(i == 0 ? "" : ", ").append(key[i]);
    }
    return out + ")";
}

int compare(const Table& table, const Key& a, const Key& b) {
    for (std::size_t i = 0; i < table.key.size(); ++i) {
        int order = 0;
        if (table.key_column(i).kind == Kind::integer) {
            const std::int64_t x = integer_of(a[i]);
            const std::int64_t y = integer_of(b[i]);
            order = x < y ? -1 : x > y ? 1 : 0;
        } else {
            order = a[i].compare(b[i]);
        }
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

}  // namespace tenon::copy
