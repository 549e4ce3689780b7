// SPDX-License-Identifier: Apache-2.0
// Settings of the engine plugin, as its manifest describes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

// A journal to look at instead of trading; see journal_window.hpp.
struct ViewSettings {
    std::string data_dir;
    std::string time;  // as typed; empty: by sequence, or the end
    std::optional<std::uint64_t> sequence;
    std::string account;  // empty: all
    std::string symbol;   // empty: all
};

// A span of a journal to replay instead of trading; see journal_replay.hpp. The first half is as
// it was recorded, the second under this deployment and these limits.
struct ReplaySettings {
    std::string data_dir, work_dir;
    std::string from_time, to_time;  // as typed; empty: by sequence, or all that there is
    std::optional<std::uint64_t> from_sequence, to_sequence;
    bool changed = false;
    std::vector<std::string> risk;  // JSON objects with the arguments of risk.set
    std::size_t shown = 20;         // differing commands that are told one by one
};

struct Settings {
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;
    std::uint64_t disk_reserve_bytes = std::uint64_t{256} << 20;
    std::size_t queue_max = 4096;  // commands of one batch
    std::uint64_t snapshot_commands = 500'000;
    std::uint64_t snapshot_bytes = std::uint64_t{256} << 20;
    std::size_t history_orders_max = 200'000;
    std::size_t history_trades_max = 200'000;
    std::uint32_t open_orders_max = 1U << 20;
    std::size_t projection_queue_max = 50'000;
    std::size_t projection_batch_max = 10'000;
    std::int64_t projection_interval_ms = 100;
    bool projection_gathering = true;
    std::string demo_account;                       // empty: none
    std::map<std::string, std::string> demo_funds;  // asset name -> decimal amount
    std::optional<ViewSettings> view;
    std::optional<ReplaySettings> replay;
};

// `json` passed the manifest's schema. Throws Error TENON_INVALID for what a schema can not say.
[[nodiscard]] Settings parse_settings(std::string_view json);

}  // namespace tenon::engine
