// SPDX-License-Identifier: Apache-2.0
// Questions about the history, as an URL's query or a command asks them, and their answers in JSON.
#pragma once

#include "plugins/monitor/history/definition.hpp"
#include "plugins/monitor/history/recorder.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::history {

inline constexpr std::size_t k_series_max = 64;      // of one answer
inline constexpr std::size_t k_points_max = 20'000;  // of one answer, all series together

struct Question {
    std::vector<std::string> series;  // names, or whole ones with their labels
    // Milliseconds since the epoch; not above 0: seconds before now.
    std::int64_t from = -3'600, to = 0;
    std::optional<std::int64_t> step_s;
};

// `series=a,b&from=…&to=…&step=…`, percent-encoded. Throws Error TENON_INVALID that names the
// parameter.
[[nodiscard]] Question question_of(std::string_view query);
// One parameter of it: its name and what it says. Throws Error TENON_INVALID.
void ask(Question& question, std::string_view name, std::string_view text);

// {"from_ms","to_ms","step_s","series":[{"series","name","labels","title","unit","points":
// [[t_ms,mean,min,max]…]}]}. Throws Error: TENON_NOT_FOUND for a series that is not known,
// TENON_INVALID for more than one answer may hold.
[[nodiscard]] std::string history_json(
    const Recorder& recorder,
    const std::vector<Definition>& definitions,
    const Question& question,
    std::int64_t now_ms
);
// {"at_ms","tiers":[{"step_s","keep_s"}],"left_out","series":[{"series","name","labels","title",
// "unit","since_ms","seen_ms"}]}.
[[nodiscard]] std::string series_json(
    const Recorder& recorder,
    const std::vector<Definition>& definitions,
    std::int64_t now_ms
);

}  // namespace tenon::history
