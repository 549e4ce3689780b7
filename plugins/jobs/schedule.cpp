// SPDX-License-Identifier: Apache-2.0
#include "plugins/jobs/schedule.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>

namespace tenon::jobs {
namespace {

constexpr std::int64_t k_s = 1'000'000'000, k_minute = 60 * k_s, k_day = 86'400 * k_s;
// Between two 29ths of February, over a year that is no leap year: what no day of it meets, none
// does.
constexpr std::int64_t k_days_looked_at = 366 * 9;

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size() || value < 0) {
        return std::nullopt;
    }
    return value;
}

struct Field {
    std::string_view name;
    std::int64_t least, most;
};

constexpr std::array<Field, 5> k_fields{
    {{"minute", 0, 59},
     {"hour", 0, 23},
     {"day of the month", 1, 31},
     {"month", 1, 12},
     {"day of the week", 0, 7}}};

[[noreturn]] void refuse_field(const Field& field, std::string_view found) {
    throw Error{
        TENON_INVALID,
        std::string{field.name} + " \"" + std::string{found} + "\": expected *, or numbers from " +
            std::to_string(field.least) + " to " + std::to_string(field.most) +
            " and ranges of them, with commas between"};
}

std::string_view take(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
}

std::bitset<60> values_of(const Field& field, std::string_view text) {
    std::bitset<60> values;
    std::string_view rest = text;
    if (text.empty() || text.back() == ',') {
        refuse_field(field, text);
    }
    while (!rest.empty()) {
        std::string_view part = take(rest, ',');
        const bool has_step = part.find('/') != std::string_view::npos;
        std::string_view range = take(part, '/');
        const auto step = has_step ? number(part) : std::optional<std::int64_t>{1};
        std::optional<std::int64_t> from = field.least, to = field.most;
        if (range != "*") {
            const bool is_range = range.find('-') != std::string_view::npos;
            from = number(take(range, '-'));
            to = is_range ? number(range) : has_step ? std::nullopt : from;
        }
        if (!step || *step < 1 || *step > field.most || !from || !to || *from < field.least ||
            *to > field.most || *from > *to) {
            refuse_field(field, text);
        }
        for (std::int64_t value = *from; value <= *to; value += *step) {
            values.set(static_cast<std::size_t>(value));
        }
    }
    return values;
}

}  // namespace

Rule::Fields Rule::fields_of(std::string_view text) {
    std::array<std::string_view, 5> words;
    std::size_t count = 0;
    while (!text.empty()) {
        const std::string_view word = take(text, ' ');
        if (word.empty()) {
            continue;
        }
        if (count == words.size()) {
            count = words.size() + 1;
            break;
        }
        words[count++] = word;
    }
    if (count != words.size()) {
        throw Error{
            TENON_INVALID,
            "a cron rule has five fields: minute, hour, day of the month, month, day of the week"};
    }
    Fields fields;
    fields.minutes = values_of(k_fields[0], words[0]);
    fields.hours = values_of(k_fields[1], words[1]);
    fields.month_days = values_of(k_fields[2], words[2]);
    fields.months = values_of(k_fields[3], words[3]);
    fields.week_days = values_of(k_fields[4], words[4]);
    if (fields.week_days[7]) {
        fields.week_days.set(0);
    }
    fields.any_month_day = words[2] == "*";
    fields.any_week_day = words[4] == "*";
    return fields;
}

Rule::Rule(std::string_view text) {
    if (text.starts_with("every ") && text.ends_with("s")) {
        const auto seconds = number(text.substr(6, text.size() - 7));
        if (seconds && *seconds >= 1 && *seconds <= 366 * 86'400) {
            interval_ns_ = *seconds * k_s;
            return;
        }
    } else if (text.starts_with("daily ") && text.size() == 11 && text[8] == ':') {
        const auto hours = number(text.substr(6, 2)), minutes = number(text.substr(9, 2));
        if (hours && minutes && *hours <= 23 && *minutes <= 59) {
            fields_ = fields_of(std::to_string(*minutes) + " " + std::to_string(*hours) + " * * *");
            return;
        }
    } else if (text.starts_with("cron ")) {
        fields_ = fields_of(text.substr(5));
        for (std::int64_t day = 0; day < k_days_looked_at; ++day) {
            if (runs_on(day)) {
                return;
            }
        }
        throw Error{
            TENON_INVALID, "the rule \"" + std::string{text} + "\" names a day that never comes"};
    }
    throw Error{
        TENON_INVALID,
        "the rule \"" + std::string{text} +
            "\" is none of \"every Ns\" (1 s to 366 days), \"daily HH:MM\" and \"cron MINUTE HOUR "
            "DAY "
            "MONTH WEEKDAY\" (UTC)"};
}

// `day` counts from 1970-01-01, a Thursday.
bool Rule::runs_on(std::int64_t day) const noexcept {
    const std::chrono::sys_days at{std::chrono::days{day}};
    const std::chrono::year_month_day date{at};
    const auto of_month = static_cast<std::size_t>(static_cast<unsigned>(date.day()));
    const auto month = static_cast<std::size_t>(static_cast<unsigned>(date.month()));
    const auto of_week = static_cast<std::size_t>(std::chrono::weekday{at}.c_encoding());
    const bool month_day = fields_.month_days[of_month], week_day = fields_.week_days[of_week];
    const bool either = !fields_.any_month_day && !fields_.any_week_day;
    return fields_.months[month] && (either ? month_day || week_day : month_day && week_day);
}

std::int64_t Rule::next_by_fields(std::int64_t after_real_ns) const noexcept {
    const std::int64_t first_minute = after_real_ns / k_minute + 1;
    std::int64_t day = first_minute * k_minute / k_day;
    std::int64_t minute = first_minute - day * (k_day / k_minute);  // of the day
    for (std::int64_t i = 0; i <= k_days_looked_at; ++i, ++day, minute = 0) {
        if (!runs_on(day)) {
            continue;
        }
        for (; minute < 24 * 60; ++minute) {
            if (fields_.hours[static_cast<std::size_t>(minute / 60)] &&
                fields_.minutes[static_cast<std::size_t>(minute % 60)]) {
                return day * k_day + minute * k_minute;
            }
        }
    }
    return day * k_day;  // not reached: some day has it
}

std::int64_t Rule::next(std::int64_t last_real_ns, std::int64_t after_real_ns) const noexcept {
    if (interval_ns_ == 0) {
        return next_by_fields(after_real_ns);
    }
    if (last_real_ns > after_real_ns) {
        return last_real_ns + interval_ns_;  // the clock was set back
    }
    return last_real_ns + ((after_real_ns - last_real_ns) / interval_ns_ + 1) * interval_ns_;
}

std::int64_t Rule::first(std::int64_t now_real_ns) const noexcept {
    return next(now_real_ns, now_real_ns);
}

}  // namespace tenon::jobs
