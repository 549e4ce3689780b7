// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/plan_watch.hpp"

#include <tenon/json.hpp>
#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace tenon::postgres {
namespace {

constexpr std::int64_t k_turn_ns = k_second;

std::string text_of(const Json& node, std::string_view key) {
    const Json* found = node.find(key);
    return found != nullptr && found->is(Json::Kind::text) ? found->text() : std::string{};
}

}  // namespace

std::string brief_of(const std::string& plan) {
    std::string out;
    const Json root = Json::parse(plan);
    for (const Json& node : root.find("nodes")->items()) {
        out.append(out.empty() ? "" : "; ").append(text_of(node, "detail"));
        for (const auto& [key, before] : {std::pair{"table", " on "}, std::pair{"index", " by "}}) {
            if (const std::string text = text_of(node, key); !text.empty()) {
                out.append(before).append(text);
            }
        }
    }
    return out;
}

std::uint64_t hash_of_plan(const std::string& plan) {
    const std::string text = text_of(Json::parse(plan), "hash");
    std::uint64_t hash = 0;
    (void)std::from_chars(text.data(), text.data() + text.size(), hash, 16);
    return hash;
}

PlanWatch::PlanWatch(
    const Telemetry& telemetry,
    std::size_t texts_max,
    Explain explain,
    std::function<void()> chores
)
    : telemetry_{telemetry},
      texts_max_{texts_max},
      explain_{std::move(explain)},
      chores_{std::move(chores)} {}

void PlanWatch::start() {
    thread_ = std::thread{[this] { run(); }};
}

PlanWatch::~PlanWatch() {
    stop();
}

void PlanWatch::stop() noexcept {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void PlanWatch::wake() {
    {
        const std::lock_guard lock{mutex_};
        woken_ = true;
    }
    wake_.notify_all();
}

void PlanWatch::add(const StatementLog::Handle& handle, std::string_view sql) {
    const std::uint64_t key = Fnv1a::of(sql);
    {
        const std::lock_guard lock{mutex_};
        if (stopping_ || texts_.size() >= texts_max_ || texts_.count(key) != 0) {
            return;
        }
        texts_[key] = {handle, std::string{sql}, {}, telemetry_.now_ns(), false};
        woken_ = true;
    }
    wake_.notify_all();
}

void PlanWatch::schema_changed() {
    {
        const std::lock_guard lock{mutex_};
        for (auto& [key, text] : texts_) {
            text.next_ns = 0;
            text.refused = false;
        }
        woken_ = true;
    }
    wake_.notify_all();
}

void PlanWatch::note_slow(
    const StatementLog::Handle& handle,
    std::string_view sql,
    std::int64_t spent_ns
) {
    const std::uint64_t key = Fnv1a::of(sql);
    std::string text{handle ? handle.sql() : normalise_sql(sql).text};
    std::string plan;
    {
        const std::lock_guard lock{mutex_};
        const auto known = texts_.find(key);
        const bool is_coming = known != texts_.end() && known->second.brief.empty() &&
                               !known->second.refused && !stopping_ &&
                               slow_.size() < k_slow_waiting_max;
        if (is_coming) {
            slow_.push_back({key, std::move(text), spent_ns});
            return;
        }
        plan = known == texts_.end() ? "" : known->second.brief;
    }
    log_slow(text, spent_ns, plan);
}

void PlanWatch::log_slow(const std::string& sql, std::int64_t spent_ns, const std::string& plan)
    const {
    telemetry_.log.warn(
        "slow_query", {{"ms", spent_ns / k_ms}, {"statement", sql}, {"plan", plan}}
    );
}

void PlanWatch::run() noexcept {
    for (bool more = true; more;) {
        (void)guard(nullptr, [&] { turn(); });
        std::unique_lock lock{mutex_};
        wake_.wait_for(lock, std::chrono::nanoseconds{k_turn_ns}, [&] {
            return stopping_ || woken_;
        });
        woken_ = false;
        more = !stopping_;
    }
    (void)guard(nullptr, [&] { log_waiting(); });
}

void PlanWatch::turn() {
    if (chores_) {
        chores_();
    }
    for (const std::uint64_t key : due()) {
        explain(key);
    }
    log_waiting();
}

std::vector<std::uint64_t> PlanWatch::due() {
    const std::int64_t now_ns = telemetry_.now_ns();
    std::vector<std::pair<std::int64_t, std::uint64_t>> all;
    const std::lock_guard lock{mutex_};
    for (const auto& [key, text] : texts_) {
        if (!text.refused && text.next_ns <= now_ns) {
            all.emplace_back(text.next_ns, key);
        }
    }
    std::sort(all.begin(), all.end());
    // The rest comes in the next turn, at once.
    woken_ = woken_ || all.size() > k_texts_a_turn;
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < std::min(all.size(), k_texts_a_turn); ++i) {
        out.push_back(all[i].second);
    }
    return out;
}

void PlanWatch::explain(std::uint64_t key) {
    std::string sql;
    StatementLog::Handle handle;
    {
        const std::lock_guard lock{mutex_};
        Text& text = texts_.at(key);
        if (stopping_) {
            return;
        }
        sql = text.sql;
        handle = text.handle;
        text.next_ns = telemetry_.now_ns() + k_round_ns;
    }
    std::string plan;
    std::string brief;
    const tenon_status status = guard(nullptr, [&] {
        plan = explain_(sql);
        brief = brief_of(plan);
    });
    const std::int64_t real_ns = telemetry_.now_real_ns();
    {
        const std::lock_guard lock{mutex_};
        Text& text = texts_.at(key);
        text.refused = status != TENON_OK && status != TENON_UNAVAILABLE && status != TENON_TIMEOUT;
        text.brief = brief.empty() ? text.brief : brief;
    }
    if (status == TENON_OK && handle.note_plan(hash_of_plan(plan), plan, real_ns)) {
        Telemetry::count(telemetry_.plan_changes);
        telemetry_.log.warn("plan_changed", {{"statement", handle.sql()}, {"plan", brief}});
    }
}

// Those whose plan is known by now, or will not be; at the end all.
void PlanWatch::log_waiting() {
    std::vector<std::pair<SlowCall, std::string>> ready;
    {
        const std::lock_guard lock{mutex_};
        for (auto it = slow_.begin(); it != slow_.end();) {
            const Text& text = texts_.at(it->text);
            if (text.brief.empty() && !text.refused && !stopping_) {
                ++it;
                continue;
            }
            ready.emplace_back(std::move(*it), text.brief);
            it = slow_.erase(it);
        }
    }
    for (const auto& [call, plan] : ready) {
        log_slow(call.sql, call.spent_ns, plan);
    }
}

}  // namespace tenon::postgres
