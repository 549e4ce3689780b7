// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/schedule.hpp"

#include <tenon/plugin.hpp>

#include <charconv>
#include <optional>
#include <string>

namespace tenon::jobs {
namespace {

constexpr std::int64_t k_s = 1'000'000'000, k_day = 86'400 * k_s;

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size() || value < 0) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

Rule::Rule(std::string_view text) {
    if (text.starts_with("every ") && text.ends_with("s")) {
        const auto seconds = number(text.substr(6, text.size() - 7));
        if (seconds && *seconds >= 1 && *seconds <= 366 * 86'400) {
            ns_ = *seconds * k_s;
            return;
        }
    } else if (text.starts_with("daily ") && text.size() == 11 && text[8] == ':') {
        const auto hours = number(text.substr(6, 2)), minutes = number(text.substr(9, 2));
        if (hours && minutes && *hours <= 23 && *minutes <= 59) {
            daily_ = true;
            ns_ = (*hours * 3'600 + *minutes * 60) * k_s;
            return;
        }
    }
    throw Error{
        TENON_INVALID,
        "the rule \"" + std::string{text} +
            "\" is neither \"every Ns\" (1 s to 366 days) nor \"daily HH:MM\" (UTC)"};
}

std::int64_t Rule::next(std::int64_t last_real_ns, std::int64_t after_real_ns) const noexcept {
    if (daily_) {
        const std::int64_t today = after_real_ns - after_real_ns % k_day + ns_;
        return today > after_real_ns ? today : today + k_day;
    }
    if (last_real_ns > after_real_ns) {
        return last_real_ns + ns_;  // the clock was set back
    }
    return last_real_ns + ((after_real_ns - last_real_ns) / ns_ + 1) * ns_;
}

std::int64_t Rule::first(std::int64_t now_real_ns) const noexcept {
    return next(now_real_ns, now_real_ns);
}

}  // namespace tenon::jobs
