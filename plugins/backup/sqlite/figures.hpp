// SPDX-License-Identifier: Apache-2.0
// The metrics of backups. Set and counted by any thread.
#pragma once

#include <tenon/plugin.hpp>

namespace tenon::backup_sqlite {

struct Figures {
    Figures() = default;

    explicit Figures(const Service<tenon_metrics_1>& metrics) {
        const auto counter = [&](std::string_view name, std::string_view help) {
            return metrics->counter(metrics.self, str(name), str(help), nullptr, 0);
        };
        const auto gauge = [&](std::string_view name, std::string_view help) {
            return metrics->gauge(metrics.self, str(name), str(help), nullptr, 0);
        };
        made = counter("tenon_backups_total", "Backups that were made");
        failed = counter("tenon_backup_failures_total", "Backups that failed");
        drills_failed =
            counter("tenon_backup_drill_failures_total", "Restores that were tried and not whole");
        last = gauge(
            "tenon_backup_last_success_seconds", "When the newest backup was finished, in Unix time"
        );
        proven = gauge(
            "tenon_backup_last_proven_seconds",
            "When a restore of a backup was last tried and whole, in Unix time; 0: never"
        );
        proven_age = gauge(
            "tenon_backup_proven_age_seconds",
            "Time since a restore was last tried and whole, or since the start"
        );
        lag = gauge(
            "tenon_backup_ship_lag_seconds",
            "What would be lost with this machine: time since all that was captured was stored"
        );
        journal_lag = gauge(
            "tenon_backup_journal_lag_bytes",
            "Bytes of the engine's journal that are not in the store yet"
        );
    }

    static void count(std::uint64_t* counter) noexcept {
        __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
    }

    static void set(std::int64_t* gauge, std::int64_t value) noexcept {
        __atomic_store_n(gauge, value, __ATOMIC_RELAXED);
    }

    std::uint64_t* made = nullptr;
    std::uint64_t* failed = nullptr;
    std::uint64_t* drills_failed = nullptr;
    std::int64_t* last = nullptr;
    std::int64_t* proven = nullptr;
    std::int64_t* proven_age = nullptr;
    std::int64_t* lag = nullptr;
    std::int64_t* journal_lag = nullptr;
};

}  // namespace tenon::backup_sqlite
