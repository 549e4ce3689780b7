// SPDX-License-Identifier: Apache-2.0
#include "plugins/market-data/service/history_reads.hpp"

#include "plugins/market-data/service/intervals.hpp"

#include <tenon/structs.hpp>

#include <algorithm>
#include <utility>

namespace tenon::market_data {
namespace {

// The database has so long of a read's time, and rows for it are given up after so long.
constexpr std::int64_t k_storage_ns = k_second_ns;
constexpr std::int64_t k_write_ns = 10 * k_second_ns;
constexpr std::int64_t k_storage_rest_ns = 3 * k_second_ns;
// The exchange has the rest, but for what the answer itself takes.
constexpr std::int64_t k_margin_ns = 50'000'000;
constexpr std::uint64_t k_writes_a_prune = 16;

[[nodiscard]] std::string key_of(const tenon_history_query& query) {
    std::string key;
    for (const std::int64_t part :
         {static_cast<std::int64_t>(query.kind),
          static_cast<std::int64_t>(query.instrument),
          static_cast<std::int64_t>(query.limit),
          static_cast<std::int64_t>(query.from_id),
          query.start_real_ns,
          query.end_real_ns,
          query.offset_ns,
          static_cast<std::int64_t>(query.interval)}) {
        key += std::to_string(part) + ",";
    }
    return key;
}

[[nodiscard]] HistoryMetrics make_metrics(const Host& host) {
    const Metrics metrics{host};
    HistoryMetrics out;
    constexpr std::array<std::string_view, 4> k_sources{"none", "feed", "storage", "api"};
    for (std::size_t i = 0; i < k_sources.size(); ++i) {
        out.reads[i] = metrics.counter(
            "tenon_market_data_history_reads_total",
            "Reads of older rows than memory has, by where they were found",
            {{"source", k_sources[i]}}
        );
    }
    out.kept = metrics.counter(
        "tenon_market_data_history_rows_kept_total", "Rows of the exchange that were kept"
    );
    out.not_kept = metrics.counter(
        "tenon_market_data_history_rows_not_kept_total",
        "Rows of the exchange that the database did not take"
    );
    return out;
}

}  // namespace

HistoryReads::HistoryReads(
    const Host& host,
    std::optional<Storage> storage,
    Market& market,
    std::size_t rows_kept
)
    : exec_{host.service<tenon_exec_1>("tenon.exec/1")},
      clock_{host.service<tenon_clock_1>("tenon.clock/1")},
      log_{host.log()},
      market_{market},
      rows_kept_{rows_kept},
      metrics_{make_metrics(host)},
      alive_{std::make_shared<Alive>()} {
    if (storage) {
        rows_.emplace(std::move(*storage));
    }
    alive_->owner = this;
}

std::uint64_t HistoryReads::ask(
    const tenon_history_query& query,
    const StoredInstrument& instrument,
    HistoryCalls* feed,
    tenon_history_done done
) {
    const auto plan = plan_history(market_, query, now_real());
    if (!plan || feed == nullptr) {
        return 0;
    }
    if (query.deadline_ns <= now_ns()) {
        throw Error{TENON_TIMEOUT, "the deadline has passed"};
    }
    // A read that is joined by nobody has a key of its own.
    std::string key = joins_ ? key_of(query) : "#" + std::to_string(last_id_);
    const auto same = by_key_.find(key);
    const bool joins = same != by_key_.end();
    if (waiting_ >= k_waiting_max || (!joins && reads_.size() >= k_reads_max)) {
        throw Error{TENON_LIMITED, "too many reads of older rows are under way"};
    }
    ++waiting_;
    const std::uint64_t handle = ++last_id_;
    if (joins) {
        reads_.at(same->second).waiters.push_back({handle, done});
        return handle;
    }
    const std::uint64_t id = ++last_id_;
    by_key_.emplace(key, id);
    Read& read = reads_[id];
    read = {std::move(key), query, *plan, instrument, feed, {{handle, done}}, {}, 0, 0, nullptr};
    arm(id);
    look_in_storage(id);
    return handle;
}

void HistoryReads::cancel(std::uint64_t handle) noexcept {
    if (answering_ != nullptr) {
        std::erase_if(*answering_, [&](const Waiter& one) { return one.handle == handle; });
    }
    for (auto& [id, read] : reads_) {
        const std::size_t gone =
            std::erase_if(read.waiters, [&](const Waiter& one) { return one.handle == handle; });
        waiting_ -= gone;
        if (gone != 0 && read.waiters.empty()) {
            answer(id, TENON_OK, {}, {}, "");  // nobody; ends it
            return;
        }
    }
}

void HistoryReads::stop() noexcept {
    (void)guard(nullptr, [&] {
        call_on_reactor(exec_, 0, [&] {
            alive_->owner = nullptr;
            for (auto& [id, read] : reads_) {
                read.feed->cancel(read.call);
                exec_->cancel_timer(exec_.self, read.timer);
            }
            reads_.clear();
            by_key_.clear();
            waiting_ = 0;
        });
    });
    alive_->jobs.wait();
}

void HistoryReads::arm(std::uint64_t id) {
    Read& read = reads_.at(id);
    const auto fire = [](void* ctx) noexcept {
        const Due due = *static_cast<const Due*>(ctx);  // goes with the read
        (void)guard(nullptr, [&] { due.owner->expired(due.id); });
    };
    read.due = std::make_unique<Due>(Due{this, id});
    read.timer = exec_->timer(exec_.self, read.query.deadline_ns, fire, read.due.get());
}

void HistoryReads::expired(std::uint64_t id) {
    reads_.at(id).timer = 0;
    fail_read(id, TENON_TIMEOUT, "neither the database nor the exchange answered in time");
}

void HistoryReads::look_in_storage(std::uint64_t id) {
    Read& read = reads_.at(id);
    if (!rows_ || !from_storage_ || !read.plan.stretch || now_ns() < storage_again_ns_) {
        read.storage_reason =
            rows_ && from_storage_ && read.plan.stretch ? "the database is away" : "";
        ask_feed(id);
        return;
    }
    const std::int64_t deadline = std::min(read.query.deadline_ns, now_ns() + k_storage_ns);
    const auto look = [alive = alive_,
                       exec = exec_,
                       rows = *rows_,
                       instrument = read.instrument,
                       asked = *read.plan.stretch,
                       id,
                       deadline] {
        OldRows::Found found;
        ErrorBuffer err;
        const tenon_status status =
            guard(&err, [&] { found = rows.read(instrument, asked, deadline); });
        (void)guard(nullptr, [&] {
            post(
                exec,
                0,
                [alive, id, found = std::move(found), status, reason = std::string{err.message()}] {
                    if (alive->owner != nullptr) {
                        alive->owner->storage_answered(id, found, status, reason);
                    }
                }
            );
        });
        alive->jobs.leave();
    };
    alive_->jobs.enter();
    if (guard(nullptr, [&] { run_blocking(exec_, look); }) != TENON_OK) {
        alive_->jobs.leave();
        read.storage_reason = "the blocking pool is full";
        ask_feed(id);
    }
}

void HistoryReads::storage_answered(
    std::uint64_t id,
    const OldRows::Found& found,
    tenon_status status,
    const std::string& reason
) {
    if (status != TENON_OK) {
        storage_again_ns_ = now_ns() + k_storage_rest_ns;
    }
    if (!reads_.contains(id)) {
        return;
    }
    if (status == TENON_OK && found.known) {
        give(id, TENON_MD_SOURCE_STORAGE, found.rows);
        return;
    }
    reads_.at(id).storage_reason = status == TENON_OK ? "" : "the database is away: " + reason;
    ask_feed(id);
}

void HistoryReads::ask_feed(std::uint64_t id) {
    Read& read = reads_.at(id);
    tenon_history_query query = read.plan.fetch;
    query.deadline_ns = read.query.deadline_ns - k_margin_ns;
    ErrorBuffer err;
    std::uint64_t call = 0;
    const tenon_status status = guard(&err, [&] {
        call = read.feed->ask(
            query,
            [this, id](tenon_status ended, const tenon_history_rows* rows, std::string_view why) {
                feed_answered(id, ended, rows, why);
            }
        );
    });
    if (status == TENON_OK && call != 0) {
        read.call = call;
        return;
    }
    // Never inside ask(): who asks has no handle yet.
    const std::string reason =
        status == TENON_OK ? "the exchange tells nothing of before" : std::string{err.message()};
    const tenon_status failed = status == TENON_OK ? TENON_UNAVAILABLE : status;
    post(exec_, 0, [alive = alive_, id, failed, reason] {
        if (alive->owner != nullptr && alive->owner->reads_.contains(id)) {
            alive->owner->fail_read(id, failed, reason);
        }
    });
}

void HistoryReads::feed_answered(
    std::uint64_t id,
    tenon_status status,
    const tenon_history_rows* raw,
    std::string_view reason
) {
    Read& read = reads_.at(id);
    read.call = 0;
    HistoryRows rows;
    ErrorBuffer err;
    if (status == TENON_OK) {
        status = guard(&err, [&] {
            if (raw == nullptr || raw->kind != read.query.kind) {
                throw Error{TENON_CORRUPT, "rows of another kind than asked for"};
            }
            rows = copy_rows(*raw);
        });
    }
    if (status != TENON_OK) {
        fail_read(id, status, err.len != 0 ? std::string{err.message()} : std::string{reason});
        return;
    }
    keep(read, rows);
    give(id, TENON_MD_SOURCE_API, std::move(rows));
}

void HistoryReads::keep(const Read& read, HistoryRows rows) {
    const auto told = told_by(read.plan, rows, now_real());
    if (!rows_ || !told) {
        return;
    }
    const std::size_t count = rows.size();
    if (writes_ >= k_writes_max || now_ns() < storage_again_ns_) {
        metrics_.not_kept.add(count);
        return;
    }
    ++writes_;
    // Of each kind by itself: those that are read in turns must not pass one another's turn by.
    const std::uint64_t written = ++written_[{read.instrument.id, told->kind, told->unit}];
    const bool prunes = written % k_writes_a_prune == 0;
    const auto write = [alive = alive_,
                        exec = exec_,
                        log = log_,
                        store = *rows_,
                        instrument = read.instrument,
                        stretch = *told,
                        rows = std::move(rows),
                        metrics = metrics_,
                        kept = prunes ? rows_kept_ : 0,
                        deadline = now_ns() + k_write_ns] {
        ErrorBuffer err;
        const tenon_status status = guard(&err, [&] {
            store.write(instrument, stretch, rows, deadline);
            if (kept != 0) {
                (void)store.prune(instrument.id, stretch, kept, deadline);
            }
        });
        (status == TENON_OK ? metrics.kept : metrics.not_kept).add(rows.size());
        if (status != TENON_OK) {
            log.warn("history_not_kept", {{"reason", err.message()}});
        }
        (void)guard(nullptr, [&] {
            post(exec, 0, [alive] {
                if (alive->owner != nullptr) {
                    --alive->owner->writes_;
                }
            });
        });
        alive->jobs.leave();
    };
    alive_->jobs.enter();
    if (guard(nullptr, [&] { run_blocking(exec_, write); }) != TENON_OK) {
        alive_->jobs.leave();
        --writes_;
        metrics_.not_kept.add(count);
    }
}

void HistoryReads::give(std::uint64_t id, std::uint32_t source, HistoryRows rows) {
    const Read& read = reads_.at(id);
    const std::int64_t now = now_real();
    const bool has_newest = join_memory(market_, read.query, read.plan, now, rows);
    auto origin = sized<tenon_md_origin>();
    origin.source = source;
    origin.trusted = 1;
    origin.silent_ns = -1;
    // A candle in progress is as new as its last trade.
    origin.newest_real_ns =
        has_newest && read.query.kind == TENON_HISTORY_CANDLES
            ? market_.newest_real_ns(read.query.instrument, TENON_MD_KIND_CANDLES)
            : std::min(newest_of(rows), now);
    origin.age_ns =
        origin.newest_real_ns == 0 ? -1 : std::max<std::int64_t>(now - origin.newest_real_ns, 0);
    metrics_.reads.at(source).add();
    answer(id, TENON_OK, rows, origin, "");
}

void HistoryReads::fail_read(std::uint64_t id, tenon_status status, const std::string& reason) {
    const Read& read = reads_.at(id);
    const std::int64_t now = now_real();
    HistoryRows rows;
    if (read.plan.newest) {
        rows = rows_of_memory(market_, read.query, now);
    }
    if (rows.size() != 0) {
        auto origin = sized<tenon_md_origin>();
        origin.source = TENON_MD_SOURCE_FEED;
        origin.newest_real_ns = std::min(newest_of(rows), now);
        origin.age_ns = std::max<std::int64_t>(now - origin.newest_real_ns, 0);
        origin.silent_ns = -1;
        metrics_.reads[TENON_MD_SOURCE_FEED].add();
        answer(id, TENON_OK, rows, origin, "");
        return;
    }
    metrics_.reads[TENON_MD_SOURCE_NONE].add();
    const std::string kept = read.storage_reason.empty() ? "older rows than kept here are asked for"
                                                         : read.storage_reason;
    answer(id, status, {}, {}, kept + ", and the exchange does not give them: " + reason);
}

void HistoryReads::answer(
    std::uint64_t id,
    tenon_status status,
    const HistoryRows& rows,
    const tenon_md_origin& origin,
    const std::string& reason
) {
    auto mine = reads_.extract(id);
    Read& read = mine.mapped();
    by_key_.erase(read.key);
    read.feed->cancel(read.call);
    if (read.timer != 0) {
        exec_->cancel_timer(exec_.self, read.timer);
    }
    waiting_ -= read.waiters.size();
    ErrorBuffer err;
    if (status != TENON_OK) {
        (void)fail(&err, status, reason);
    }
    const tenon_history_rows raw = raw_rows(rows, read.query.kind, &origin);
    // Who is told may take back another one's read, or ask anew.
    std::vector<Waiter>* const outer = std::exchange(answering_, &read.waiters);
    while (!read.waiters.empty()) {
        const Waiter waiter = read.waiters.front();
        read.waiters.erase(read.waiters.begin());
        waiter.done.fn(
            waiter.done.ctx,
            status,
            status == TENON_OK ? &raw : nullptr,
            status == TENON_OK ? nullptr : &err
        );
    }
    answering_ = outer;
}

}  // namespace tenon::market_data
