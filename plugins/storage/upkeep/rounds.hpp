// SPDX-License-Identifier: Apache-2.0
// Looks through the whole database in steps, each a transaction of its own and bounded in time. Who
// calls step() decides how fast: a command at once, the schedule one at a time. Not thread-safe;
// all functions block ([io]). A step that throws StorageError is taken again by the next call; one
// that took too long is counted as unchecked and passed.
#pragma once

#include "plugins/storage/upkeep/integrity.hpp"
#include "plugins/storage/upkeep/views.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tenon::upkeep {

struct RoundContext {
    Storage storage;
    std::function<std::int64_t()> now_ns;
    std::int64_t step_timeout_ns = 30'000'000'000;

    [[nodiscard]] std::int64_t deadline_ns() const { return now_ns() + step_timeout_ns; }
};

// The summaries against their rows.
class ViewsRound {
public:
    explicit ViewsRound(RoundContext context) : context_{std::move(context)} {}

    // False when everything has been looked at.
    [[nodiscard]] bool step();

    [[nodiscard]] const Findings& findings() const noexcept { return findings_; }

    [[nodiscard]] std::uint64_t unchecked() const noexcept { return unchecked_; }

    [[nodiscard]] bool is_ok() const noexcept {
        return findings_.different == 0 && unchecked_ == 0;
    }

    // {"ok":…,"days":N,"keys":N,"different":N,"unchecked":N,"differences":[…]}
    [[nodiscard]] std::string json() const;

private:
    RoundContext context_;
    Walk walk_;
    Findings findings_;
    std::uint64_t unchecked_ = 0;
};

// Every day of every summary is added up anew. Gives back how many days.
[[nodiscard]] std::uint64_t
rebuild_views(const RoundContext& context, const std::function<bool()>& stopping);

class IntegrityRound {
public:
    IntegrityRound(RoundContext context, bool full) : context_{std::move(context)}, full_{full} {}

    [[nodiscard]] bool step();

    [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }

    [[nodiscard]] std::uint64_t unchecked() const noexcept { return unchecked_; }

    [[nodiscard]] bool is_ok() const noexcept { return problems_.empty() && unchecked_ == 0; }

    // {"ok":…,"steps":N,"unchecked":N,"problems":["…"]}
    [[nodiscard]] std::string json() const;

private:
    RoundContext context_;
    bool full_;
    bool is_planned_ = false;
    std::vector<IntegrityStep> steps_;
    std::size_t next_ = 0;
    std::vector<std::string> problems_;
    std::uint64_t unchecked_ = 0;
};

}  // namespace tenon::upkeep
