// SPDX-License-Identifier: Apache-2.0
// What a database was asked, by statement: how often, how long, with what plan; and the latest slow
// ones. For every backend of tenon.storage/1; to_json() is the answer of its slot `statements`.
//
//   auto handle = log.open(sql, writes, tables);    // once for each prepared statement
//   handle.record({.duration_ns = 1200, .rows = 1, .real_ns = now});            // each time it ran
//
// Keeps normalised SQL (sql_fingerprint.hpp), never a bound value. A literal that stands in the
// text itself is told in `constants` once the statement ran k_constant_calls times with that one
// and no other: then it belongs to the program and is no data.
//
// Bounded: with `statements` known, the least costly sixteenth goes for a new one, counted as
// dropped; one that still has handles comes back with its figures when it runs again. Texts and
// plans are cut at fixed lengths. Two statements of one 64-bit fingerprint would be told as one.
//
// Threads: everything from any thread; handles by one thread at a time (copies are cheap, and
// good while the log lives). record() takes relaxed atomics and no lock, but for a dropped
// statement; measured below 100 ns. Figures read meanwhile may be of different moments.
#pragma once

#include <tenon/json.hpp>
#include <tenon/latency_histogram.hpp>
#include <tenon/sql_fingerprint.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon {

class StatementLog {
    struct Entry;

public:
    static constexpr std::uint64_t k_constant_calls = 16;
    static constexpr std::size_t k_plan_max = 16384;  // bytes of a plan; a longer one is not kept
    static constexpr std::size_t k_tables_max = 64;   // of one statement

    struct Limits {
        std::size_t statements = 1000;
        std::size_t slow = 128;
    };

    // One run of a statement.
    struct Call {
        std::int64_t duration_ns = 0;
        std::uint64_t rows = 0;  // given, or changed by a write
        std::uint64_t work = 0;  // in the backend's unit, equal for equal runs on equal data
        std::int64_t real_ns = 0;
        bool failed = false;
        bool slow = false;
    };

    // A statement of the log. An empty one does nothing.
    class Handle {
    public:
        Handle() = default;

        void record(const Call& call) {
            if (entry_ == nullptr || !log_->is_recording()) {
                return;
            }
            if (entry_->dropped.load(std::memory_order_relaxed)) [[unlikely]] {
                entry_ = log_->readmit(entry_);
            }
            entry_->record(call);
        }

        // The plan as JSON and its hash. True: this very text had another plan before.
        bool note_plan(std::uint64_t hash, std::string_view json, std::int64_t real_ns) {
            return entry_ != nullptr && log_->note_plan(*entry_, text_, hash, json, real_ns);
        }

        // To the ring of slow ones.
        void note_slow(std::int64_t duration_ns, std::int64_t real_ns) {
            if (entry_ != nullptr && log_->is_recording()) {
                log_->note_slow(*entry_, duration_ns, real_ns);
            }
        }

        [[nodiscard]] std::uint64_t fingerprint() const noexcept {
            return entry_ == nullptr ? 0 : entry_->sql.fingerprint;
        }

        // Normalised; empty of an empty handle.
        [[nodiscard]] std::string_view sql() const noexcept {
            return entry_ == nullptr ? std::string_view{} : std::string_view{entry_->sql.text};
        }

        // A plan of this text is known already.
        [[nodiscard]] bool has_plan() const {
            return entry_ != nullptr && log_->has_plan(*entry_, text_);
        }

        explicit operator bool() const noexcept { return entry_ != nullptr; }

    private:
        friend class StatementLog;

        Handle(StatementLog& log, std::shared_ptr<Entry> entry, std::uint64_t text)
            : log_{&log}, entry_{std::move(entry)}, text_{text} {}

        StatementLog* log_ = nullptr;
        std::shared_ptr<Entry> entry_;
        std::uint64_t text_ = 0;  // hash of the text with its literals
    };

    explicit StatementLog(std::int64_t since_real_ns) : StatementLog{since_real_ns, Limits{}} {}

    StatementLog(std::int64_t since_real_ns, Limits limits)
        : since_real_ns_{since_real_ns}, limits_{limits} {}

    StatementLog(const StatementLog&) = delete;
    StatementLog& operator=(const StatementLog&) = delete;

    [[nodiscard]] Handle
    open(std::string_view sql, bool writes, std::span<const std::string> tables) {
        NormalSql normal = normalise_sql(sql);
        const std::uint64_t text = Fnv1a::of(sql);
        const std::lock_guard lock{mutex_};
        auto& place = entries_[normal.fingerprint];
        if (place == nullptr) {
            place = std::make_shared<Entry>(std::move(normal), writes);
            const std::shared_ptr<Entry> fresh = place;
            for (const std::string& table : tables) {
                fresh->add_table(table);
            }
            make_room_locked(fresh.get());
            return {*this, fresh, text};
        }
        place->meet(normal.constants);
        for (const std::string& table : tables) {
            place->add_table(table);
        }
        return {*this, place, text};
    }

    // Off: runs are not recorded; what was stays. [any]
    void record_runs(bool on) noexcept { recording_.store(on, std::memory_order_relaxed); }

    [[nodiscard]] bool is_recording() const noexcept {
        return recording_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t dropped() const {
        const std::lock_guard lock{mutex_};
        return dropped_;
    }

    [[nodiscard]] std::uint64_t plan_changes() const noexcept {
        return plan_changes_.load(std::memory_order_relaxed);
    }

    // storage.h gives the shape; on top of it come, of each statement, "constants":
    // [{"at":0,"value":"'open'"}], "work" (SQLite: steps of its virtual machine), "plan" (an object
    // or null), "plan_before", "plan_changes", "plan_changed_real_ns", and beside the statements
    // "slow": [{"real_ns","duration_ns", "fingerprint","sql"}], newest first.
    [[nodiscard]] std::string to_json() const {
        const std::lock_guard lock{mutex_};
        std::vector<std::pair<std::int64_t, const Entry*>> costs;
        costs.reserve(entries_.size());
        for (const auto& [fingerprint, entry] : entries_) {
            costs.emplace_back(entry->total_ns.load(std::memory_order_relaxed), entry.get());
        }
        std::sort(costs.begin(), costs.end(), [](const auto& a, const auto& b) {
            return a.first != b.first ? a.first > b.first
                                      : a.second->sql.fingerprint < b.second->sql.fingerprint;
        });
        std::string out = "{\"since_real_ns\":" + std::to_string(since_real_ns_) +
                          ",\"dropped\":" + std::to_string(dropped_) + ",\"statements\":[";
        for (const auto& [cost, entry] : costs) {
            if (entry != costs.front().second) {
                out.push_back(',');
            }
            entry->append_to(out);
        }
        out.append("],\"slow\":[");
        for (auto it = slow_.rbegin(); it != slow_.rend(); ++it) {
            out.append(it == slow_.rbegin() ? "{\"real_ns\":" : ",{\"real_ns\":");
            out.append(std::to_string(it->real_ns)).append(",\"duration_ns\":");
            out.append(std::to_string(it->duration_ns)).append(",\"fingerprint\":\"");
            out.append(hex_of(it->entry->sql.fingerprint)).append("\",\"sql\":");
            append_json(out, it->entry->sql.text);
            out.push_back('}');
        }
        out.append("]}");
        return out;
    }

private:
    // Literals of one statement may differ; plans are compared by text. Bounded.
    struct TextPlan {
        std::uint64_t text = 0;
        std::uint64_t hash = 0;
    };

    static constexpr std::size_t k_text_plans_max = 8;

    // Fixed by its maker; atomics by any thread; the rest under the log's mutex.
    struct Entry : std::enable_shared_from_this<Entry> {
        Entry(NormalSql normal, bool does_write)
            : sql{std::move(normal)}, writes{does_write}, constants{std::move(sql.constants)} {}

        void record(const Call& call) noexcept {
            constexpr auto k_relaxed = std::memory_order_relaxed;
            durations.record(call.duration_ns);
            total_ns.fetch_add(call.duration_ns, k_relaxed);
            if (call.rows != 0) {
                rows.fetch_add(call.rows, k_relaxed);
            }
            if (call.work != 0) {
                work.fetch_add(call.work, k_relaxed);
            }
            if (call.failed) {
                errors.fetch_add(1, k_relaxed);
            }
            if (call.slow) {
                slow.fetch_add(1, k_relaxed);
            }
            last_real_ns.store(call.real_ns, k_relaxed);
            std::int64_t most = max_ns.load(k_relaxed);
            while (most < call.duration_ns &&
                   !max_ns.compare_exchange_weak(most, call.duration_ns, k_relaxed)) {}
        }

        void add_table(const std::string& table) {
            if (tables.size() < k_tables_max &&
                std::find(tables.begin(), tables.end(), table) == tables.end()) {
                tables.push_back(table);
            }
        }

        // Keeps the constants that the other text has too.
        void meet(const std::vector<NormalSql::Constant>& others) {
            std::erase_if(constants, [&](const NormalSql::Constant& mine) {
                return std::find(others.begin(), others.end(), mine) == others.end();
            });
        }

        void append_to(std::string& out) const {
            constexpr auto k_relaxed = std::memory_order_relaxed;
            const LatencyHistogram::Counts counts = durations.counts();
            const std::uint64_t calls = LatencyHistogram::total(counts);
            const std::int64_t most = max_ns.load(k_relaxed);
            const auto field = [&out](std::string_view name, auto value) {
                out.append(",\"").append(name).append("\":").append(std::to_string(value));
            };
            const auto percentile = [&](double share) {
                return std::min(LatencyHistogram::percentile_ns(counts, share), most);
            };
            out.append("{\"fingerprint\":\"").append(hex_of(sql.fingerprint)).append("\",\"sql\":");
            append_json(out, sql.text);
            field("calls", calls);
            field("rows", rows.load(k_relaxed));
            field("errors", errors.load(k_relaxed));
            field("slow", slow.load(k_relaxed));
            field("total_ns", total_ns.load(k_relaxed));
            field("max_ns", most);
            field("p50_ns", percentile(0.5));
            field("p95_ns", percentile(0.95));
            field("p99_ns", percentile(0.99));
            out.append(writes ? ",\"writes\":true,\"tables\":[" : ",\"writes\":false,\"tables\":[");
            for (const std::string& table : tables) {
                out.append(&table == &tables.front() ? "" : ",");
                append_json(out, table);
            }
            out.push_back(']');
            field("last_real_ns", last_real_ns.load(k_relaxed));
            field("work", work.load(k_relaxed));
            append_constants(out, calls);
            out.append(",\"plan\":").append(plan.empty() ? "null" : plan);
            out.append(",\"plan_before\":").append(plan_before.empty() ? "null" : plan_before);
            field("plan_changes", plan_changes);
            field("plan_changed_real_ns", plan_changed_real_ns);
            out.push_back('}');
        }

        void append_constants(std::string& out, std::uint64_t calls) const {
            out.append(",\"constants\":[");
            bool first = true;
            for (const NormalSql::Constant& constant : constants) {
                if (calls >= k_constant_calls) {
                    out.append(first ? "{\"at\":" : ",{\"at\":")
                        .append(std::to_string(constant.at));
                    out.append(",\"value\":");
                    append_json(out, constant.value);
                    out.push_back('}');
                    first = false;
                }
            }
            out.push_back(']');
        }

        const NormalSql sql;
        const bool writes;
        std::vector<NormalSql::Constant> constants;
        std::vector<std::string> tables;
        std::string plan;
        std::string plan_before;
        std::vector<TextPlan> text_plans;
        std::uint64_t plan_changes = 0;
        std::int64_t plan_changed_real_ns = 0;

        std::atomic<bool> dropped{false};
        std::atomic<std::int64_t> total_ns{0};
        std::atomic<std::int64_t> max_ns{0};
        std::atomic<std::int64_t> last_real_ns{0};
        std::atomic<std::uint64_t> rows{0};
        std::atomic<std::uint64_t> work{0};
        std::atomic<std::uint64_t> errors{0};
        std::atomic<std::uint64_t> slow{0};
        LatencyHistogram durations;
    };

    struct Slow {
        std::int64_t real_ns = 0;
        std::int64_t duration_ns = 0;
        std::shared_ptr<const Entry> entry;
    };

    // `fresh` is in already and stays.
    void make_room_locked(const Entry* fresh) {
        if (entries_.size() <= limits_.statements) {
            return;
        }
        std::vector<std::pair<std::int64_t, Entry*>> costs;
        for (const auto& [fingerprint, entry] : entries_) {
            if (entry.get() != fresh) {
                costs.emplace_back(entry->total_ns.load(std::memory_order_relaxed), entry.get());
            }
        }
        const std::size_t count =
            std::min(std::max<std::size_t>(limits_.statements / 16, 1), costs.size());
        std::partial_sort(
            costs.begin(), costs.begin() + static_cast<std::ptrdiff_t>(count), costs.end()
        );
        for (std::size_t i = 0; i < count; ++i) {
            costs[i].second->dropped.store(true, std::memory_order_relaxed);
            entries_.erase(costs[i].second->sql.fingerprint);
        }
        dropped_ += count;
    }

    std::shared_ptr<Entry> readmit(const std::shared_ptr<Entry>& entry) {
        const std::lock_guard lock{mutex_};
        auto& place = entries_[entry->sql.fingerprint];
        if (place == nullptr) {
            place = entry;
            entry->dropped.store(false, std::memory_order_relaxed);
            make_room_locked(entry.get());
            return entry;
        }
        return place;
    }

    bool note_plan(
        Entry& entry,
        std::uint64_t text,
        std::uint64_t hash,
        std::string_view json,
        std::int64_t real_ns
    ) {
        const std::lock_guard lock{mutex_};
        const auto known =
            std::find_if(entry.text_plans.begin(), entry.text_plans.end(), [&](const TextPlan& t) {
                return t.text == text;
            });
        const std::string kept{json.size() <= k_plan_max ? json : std::string_view{}};
        if (known == entry.text_plans.end()) {
            if (entry.text_plans.size() < k_text_plans_max) {
                entry.text_plans.push_back({text, hash});
            }
            if (entry.plan.empty()) {
                entry.plan = kept;
            }
            return false;
        }
        if (known->hash == hash) {
            return false;
        }
        known->hash = hash;
        entry.plan_before = std::exchange(entry.plan, kept);
        entry.plan_changed_real_ns = real_ns;
        ++entry.plan_changes;
        plan_changes_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }

    [[nodiscard]] bool has_plan(const Entry& entry, std::uint64_t text) const {
        const std::lock_guard lock{mutex_};
        return entry.text_plans.size() >= k_text_plans_max ||
               std::any_of(
                   entry.text_plans.begin(),
                   entry.text_plans.end(),
                   [&](const TextPlan& t) { return t.text == text; }
               );
    }

    void note_slow(const Entry& entry, std::int64_t duration_ns, std::int64_t real_ns) {
        const std::lock_guard lock{mutex_};
        if (limits_.slow == 0) {
            return;
        }
        if (slow_.size() >= limits_.slow) {
            slow_.pop_front();
        }
        slow_.push_back({real_ns, duration_ns, entry.shared_from_this()});
    }

    const std::int64_t since_real_ns_;
    const Limits limits_;
    std::atomic<bool> recording_{true};
    std::atomic<std::uint64_t> plan_changes_{0};
    mutable std::mutex mutex_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Entry>> entries_;
    std::deque<Slow> slow_;
    std::uint64_t dropped_ = 0;
};

}  // namespace tenon
