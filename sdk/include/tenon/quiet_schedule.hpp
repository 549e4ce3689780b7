// SPDX-License-Identifier: Apache-2.0
// Upkeep that is done every so often, when it is quiet (tenon/quiet_window.hpp), and whose schedule
// outlives a restart: a server that is restarted every day would otherwise never know a whole day,
// and wait for its longest time anew after each start.
//
//   schedule_.begin(text of the file, now_ns, now_real_ns, every_ns);
//   schedule_.observe(now_ns, now_real_ns, storage.stats().transactions - mine);   // each tick
//   if (schedule_.may_begin(now_ns, longest_ns)) { … schedule_.done(now_ns, now_real_ns, every_ns);
//   } if (schedule_.take_unsaved()) { write schedule_.text() to the file }
//
// It reads no clock and no file; not thread-safe. The text is two lines:
//
//   due 1780000000000000000
//   rates 0.5 12.25 - …        (of each quarter of an hour of the day, a second; "-": not known)
#pragma once

#include <tenon/plugin.hpp>
#include <tenon/quiet_window.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tenon {

class QuietSchedule {
public:
    // Due at once where nothing is known (text ""), at the time that is known otherwise; never
    // later than `every_ns` from now, since the clock may have been wrong then. Throws
    // TENON_CORRUPT for a text that is none of these: as if nothing were known, and it goes on.
    void begin(
        std::string_view text,
        std::int64_t now_ns,
        std::int64_t now_real_ns,
        std::int64_t every_ns
    ) {
        window_ = {};
        observe_ns_ = now_ns;
        save_ns_ = now_ns + k_save_ns;
        set_due(now_ns, now_real_ns, 0);
        if (text.empty()) {
            return;
        }
        const auto [due_real_ns, day] = parse(text);
        window_.set_day(day);
        set_due(now_ns, now_real_ns, std::min(due_real_ns - now_real_ns, every_ns));
    }

    // `total` as of QuietWindow; looked at once a minute.
    void observe(std::int64_t now_ns, std::int64_t now_real_ns, std::uint64_t total) {
        if (now_ns < observe_ns_) {
            return;
        }
        observe_ns_ = now_ns + k_observe_ns;
        window_.observe(now_real_ns, total);
        is_unsaved_ = is_unsaved_ || now_ns >= save_ns_;
    }

    [[nodiscard]] bool may_begin(std::int64_t now_ns, std::int64_t longest_ns) const {
        return window_.may_begin(now_ns, due_ns_, longest_ns);
    }

    // The next one is due so long from now.
    void done(std::int64_t now_ns, std::int64_t now_real_ns, std::int64_t after_ns) noexcept {
        set_due(now_ns, now_real_ns, after_ns);
    }

    // Once for each text that is worth a write: what is due has changed, or a quarter of an hour
    // has gone by.
    [[nodiscard]] bool take_unsaved(std::int64_t now_ns) noexcept {
        if (is_unsaved_) {
            save_ns_ = now_ns + k_save_ns;
        }
        return std::exchange(is_unsaved_, false);
    }

    [[nodiscard]] std::string text() const {
        std::string text = "due " + std::to_string(due_real_ns_) + "\nrates";
        for (const std::optional<double>& rate : window_.day()) {
            char digits[32];
            const auto [end, error] =
                std::to_chars(digits, digits + sizeof digits, rate.value_or(0));
            text.append(" ").append(rate && error == std::errc{} ? std::string{digits, end} : "-");
        }
        return text + "\n";
    }

private:
    static constexpr std::int64_t k_observe_ns = 60'000'000'000;
    static constexpr std::int64_t k_save_ns = 15 * k_observe_ns;

    void set_due(std::int64_t now_ns, std::int64_t now_real_ns, std::int64_t after_ns) noexcept {
        due_ns_ = now_ns + after_ns;
        due_real_ns_ = now_real_ns + after_ns;
        is_unsaved_ = true;
    }

    template <class Number>
    static Number take(std::string_view& text, char end) {
        Number value{};
        const char* const last = text.data() + text.size();
        const auto [at, error] = std::from_chars(text.data(), last, value);
        if (error != std::errc{} || at == last || *at != end || value < 0 ||
            !std::isfinite(static_cast<double>(value))) {
            throw Error{TENON_CORRUPT, "no schedule: a number of 0 or more is missing"};
        }
        text.remove_prefix(static_cast<std::size_t>(at + 1 - text.data()));
        return value;
    }

    static std::pair<std::int64_t, QuietWindow::Day> parse(std::string_view text) {
        const auto skip = [&text](std::string_view word) {
            if (!text.starts_with(word)) {
                throw Error{TENON_CORRUPT, "no schedule: \"" + std::string{word} + "\" is missing"};
            }
            text.remove_prefix(word.size());
        };
        skip("due ");
        const auto due_real_ns = take<std::int64_t>(text, '\n');
        skip("rates ");
        QuietWindow::Day day;
        for (std::size_t i = 0; i < day.size(); ++i) {
            const char end = i + 1 == day.size() ? '\n' : ' ';
            if (text.starts_with("-")) {
                text.remove_prefix(1);
                skip({&end, 1});
            } else {
                day[i] = take<double>(text, end);
            }
        }
        return {due_real_ns, day};
    }

    QuietWindow window_;
    std::int64_t observe_ns_ = 0, save_ns_ = 0, due_ns_ = 0, due_real_ns_ = 0;
    bool is_unsaved_ = false;
};

}  // namespace tenon
