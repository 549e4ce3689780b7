// SPDX-License-Identifier: Apache-2.0
#include "plugins/backup/sqlite/tails.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <cstdio>

namespace tenon::backup_sqlite {

std::string text_in(const vault::Manifest& manifest, const char* name) {
    const boost::json::value* const found = manifest.about.if_contains(name);
    return found != nullptr && found->is_string() ? found->get_string().c_str() : "";
}

std::string name_of(const std::string& file) {
    return file.substr(file.rfind('/') + 1);
}

bool is_segment(std::string_view name) noexcept {
    return name.starts_with("segment-");
}

bool is_base(std::string_view name) noexcept {
    return name.starts_with("base-");
}

std::string capture_of(const vault::Manifest& manifest) {
    return text_in(manifest, "capture");
}

std::string tail_name(
    const std::string& kind,
    const std::string& capture,
    const std::string& segment,
    std::uint64_t offset
) {
    char digits[20];
    (void)std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(offset));
    return kind + capture + "/" + segment + "/" + digits;
}

std::vector<Tail> tails(vault::Vault& vault, const std::string& kind) {
    std::vector<Tail> all;
    for (const vault::Object& object : vault.place().list(kind)) {
        const std::string rest = object.name.substr(kind.size());
        const std::size_t first = rest.find('/');
        const std::size_t second = rest.rfind('/');
        if (first == second) {
            continue;
        }
        Tail tail{
            object.name, rest.substr(0, first), rest.substr(first + 1, second - first - 1), 0};
        const char* const end = rest.data() + rest.size();
        const auto parsed = std::from_chars(rest.data() + second + 1, end, tail.offset, 16);
        if (parsed.ec == std::errc{} && parsed.ptr == end &&
            (is_segment(tail.segment) == (kind == k_tails))) {
            all.push_back(std::move(tail));
        }
    }
    return all;
}

}  // namespace tenon::backup_sqlite
