// SPDX-License-Identifier: Apache-2.0
// Which alerts nobody is told of, until when. A silence hides an alert from webhooks and mail only:
// it is judged, listed and counted as ever.
//
// Thread-safe. Kept in a file, so that a restart does not make the noise again.
#pragma once

#include "plugins/monitor/alerts/alert_book.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::alerts {

struct Silence {
    std::uint64_t id = 0;
    // All of them fit: a label of the alert, "alert" (its rule) or "severity", and a value, which
    // may end in '*' for anything that begins so.
    std::map<std::string, std::string> matchers;
    std::int64_t from_ms = 0, until_ms = 0;  // since the epoch
    std::string by, comment;

    [[nodiscard]] bool matches(const Alert& alert) const;
};

// "90s", "30m", "2h", "7d" in milliseconds; from a second to 30 days. Throws Error TENON_INVALID.
[[nodiscard]] std::int64_t duration_ms(std::string_view text);

// "label=value". Throws Error TENON_INVALID.
[[nodiscard]] std::pair<std::string, std::string> matcher_of(std::string_view text);

class Silences {
public:
    static constexpr std::size_t k_silences_max = 200;
    static constexpr std::size_t k_matchers_max = 16;
    static constexpr std::size_t k_text_max = 256;

    // Nothing is read or written until a file is set; empty: none is.
    void open(std::filesystem::path file, std::int64_t now_ms);
    // Its id. Throws Error: TENON_INVALID (no matcher, an end that has passed, a text that is too
    // long), TENON_UNAVAILABLE (too many, or the file cannot be written; then nothing is changed).
    std::uint64_t add(Silence silence, std::int64_t now_ms);
    // Throws Error TENON_NOT_FOUND, or TENON_UNAVAILABLE.
    Silence remove(std::uint64_t id, std::int64_t now_ms);
    [[nodiscard]] bool hides(const Alert& alert, std::int64_t now_ms) const;
    // Those in force.
    [[nodiscard]] std::vector<Silence> list(std::int64_t now_ms) const;
    // [{"id","matchers","from_ms","until_ms","by","comment"}]
    [[nodiscard]] std::string json(std::int64_t now_ms) const;

private:
    void keep(std::map<std::uint64_t, Silence> next, std::int64_t now_ms);

    mutable std::mutex mutex_;
    std::filesystem::path file_;
    std::map<std::uint64_t, Silence> silences_;
    std::uint64_t next_id_ = 1;
};

}  // namespace tenon::alerts
