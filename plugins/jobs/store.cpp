// SPDX-License-Identifier: Apache-2.0
// Sources: PostgreSQL 15, chapters 13.2 (isolation), SELECT (FOR UPDATE SKIP LOCKED);
// sqlite.org/lang_returning.html.
#include "plugins/jobs/store.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <map>

namespace tenon::jobs {
namespace {

constexpr std::int64_t k_ms = 1'000'000, k_aging_ns = 60'000'000'000;
constexpr std::int64_t k_patience_ns = 30'000'000'000;
constexpr std::size_t k_key_max = 128, k_error_max = 500;
constexpr std::uint32_t k_attempts_max = 100, k_batch_max = 10'000;
constexpr std::int64_t k_timeout_max_ms = 86'400'000;
// A row is never updated before it was made, whatever the clock does.
constexpr std::string_view k_updated =
    "updated_real_ns = CASE WHEN CAST(? AS BIGINT) > created_real_ns THEN CAST(? AS BIGINT) ELSE "
    "created_real_ns END";

// What the highest and the lowest priority make of it is a time yet.
constexpr std::int64_t k_due_max_ns = INT64_MAX - 9 * k_aging_ns;

std::int64_t rank_of(std::int64_t due_real_ns, std::int32_t priority) noexcept {
    return due_real_ns - priority * k_aging_ns;
}

std::string_view cut(std::string_view text) noexcept {
    std::size_t end = std::min(text.size(), k_error_max);
    // Not within a character.
    while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U
    ) {
        --end;
    }
    return text.substr(0, end);
}

void require(bool holds, const std::string& where, std::string_view message) {
    if (!holds) {
        throw Error{TENON_INVALID, where + std::string{message}};
    }
}

}  // namespace

void require_name(std::string_view name, std::string_view what, const std::string& where) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
    if (name.empty() || name.size() > 64 || !plain) {
        throw Error{
            TENON_INVALID,
            where + std::string{what} + " \"" + std::string{name.substr(0, 64)} +
                "\" is not 1 to 64 of A-Z a-z 0-9 . _ -"};
    }
}

std::int64_t Store::deadline() const {
    return clocks_.now_ns() + k_patience_ns;
}

template <class Body>
void Store::write(Body&& body) {
    storage_.write(deadline(), [&](Session& session) {
        if (is_postgres()) {
            session.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        }
        body(session);
    });
}

Store::Plain Store::checked(const tenon_job& job, std::uint32_t index) const {
    const std::string where = "job " + std::to_string(index) + ": ";
    require_name(view(job.queue), "queue", where);
    require_name(view(job.kind), "kind", where);
    require(job.priority >= -9 && job.priority <= 9, where, "priority is not -9 to 9");
    require(job.attempts_max <= k_attempts_max, where, "attempts_max is above 100");
    require(
        job.timeout_ms >= 0 && job.timeout_ms <= k_timeout_max_ms,
        where,
        "timeout_ms is not 0 to 86400000"
    );
    require(job.due_real_ns >= 0, where, "due_real_ns is before 1970");
    require(job.due_real_ns <= k_due_max_ns, where, "due_real_ns is after 2262");
    const std::string_view key = view(job.key);
    require(key.size() <= k_key_max, where, "key has more than 128 bytes");
    require(!key.starts_with('~'), where, "key begins with '~'");
    const std::string_view payload = job.payload.n == 0 ? "{}" : view(job.payload);
    if (payload.size() > limits_.payload_max) {
        throw Error{
            TENON_INVALID,
            where + "payload has " + std::to_string(payload.size()) + " bytes, at most " +
                std::to_string(limits_.payload_max) + " are taken"};
    }
    if (payload != "{}") {
        try {
            (void)Json::parse(payload);
        } catch (const Error& e) {
            throw Error{TENON_INVALID, where + "payload: " + e.what()};
        }
    }
    return {
        view(job.queue),
        view(job.kind),
        payload,
        key,
        job.due_real_ns == 0 ? clocks_.now_real_ns() : job.due_real_ns,
        job.timeout_ms == 0 ? limits_.timeout_ms : job.timeout_ms,
        job.priority,
        job.attempts_max == 0 ? limits_.attempts_max : job.attempts_max};
}

bool Store::has_room(const std::string& queue) const {
    const std::lock_guard lock{mutex_};
    const auto found = queued_.find(queue);
    return found == queued_.end() || found->second < limits_.queue_max;
}

void Store::require_room(std::span<const Plain> jobs) {
    const std::lock_guard lock{mutex_};
    std::map<std::string_view, std::int64_t> more;
    for (const Plain& job : jobs) {
        const auto found = queued_.find(job.queue);
        const std::int64_t queued = found == queued_.end() ? 0 : found->second;
        if (queued + ++more[job.queue] > limits_.queue_max) {
            throw Error{
                TENON_UNAVAILABLE,
                "queue " + std::string{job.queue} + " is full: " + std::to_string(queued) +
                    " jobs wait, " + std::to_string(limits_.queue_max) + " may"};
        }
    }
}

void Store::add_counts(std::span<const Plain> jobs) {
    const std::lock_guard lock{mutex_};
    for (const Plain& job : jobs) {
        ++queued_[std::string{job.queue}];
    }
}

std::int64_t Store::insert(Session& session, const Plain& job) {
    const std::int64_t now = clocks_.now_real_ns();
    auto insert = session.prepare(
        is_postgres()
            ? "INSERT INTO jobs (queue, kind, idempotency_key, payload, priority, attempts_max, "
              "timeout_ms, due_real_ns, rank_real_ns, created_real_ns, updated_real_ns) VALUES (?, "
              "?, coalesce(CAST(? AS TEXT), '~' || gen_random_uuid()), ?, ?, ?, ?, ?, ?, ?, ?) "
              "ON CONFLICT (queue, idempotency_key) DO NOTHING RETURNING id"
            : "INSERT INTO jobs (queue, kind, idempotency_key, payload, priority, attempts_max, "
              "timeout_ms, due_real_ns, rank_real_ns, created_real_ns, updated_real_ns) VALUES (?, "
              "?, coalesce(CAST(? AS TEXT), '~' || hex(randomblob(16))), ?, ?, ?, ?, ?, ?, ?, ?) "
              "ON CONFLICT (queue, idempotency_key) DO NOTHING RETURNING id"
    );
    insert.bind_all(
        job.queue,
        job.kind,
        job.key.empty() ? null_value() : value_of(job.key),
        job.payload,
        job.priority,
        job.attempts_max,
        job.timeout_ms,
        job.due_real_ns,
        rank_of(job.due_real_ns, job.priority),
        now,
        now
    );
    std::int64_t id = 0;
    while (insert.step()) {
        id = insert.integer(0);
    }
    if (id == 0) {
        auto known = session.prepare("SELECT id FROM jobs WHERE queue = ? AND idempotency_key = ?");
        known.bind_all(job.queue, job.key);
        while (known.step()) {
            id = known.integer(0);
        }
    }
    if (id == 0) {
        throw StorageError{
            TENON_CONFLICT,
            "the job of this key went while it was looked up",
            Failure::retry_transaction};
    }
    return id;
}

std::vector<std::int64_t>
Store::enqueue(const tenon_job* jobs, std::uint32_t count, std::int64_t deadline_ns) {
    std::vector<std::int64_t> ids;
    storage_.write(deadline_ns, [&](Session& session) {
        if (is_postgres()) {
            session.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        }
        ids = enqueue_in(session, jobs, count);
    });
    return ids;
}

std::vector<std::int64_t>
Store::enqueue_in(Session& session, const tenon_job* jobs, std::uint32_t count) {
    if (count > k_batch_max) {
        throw Error{TENON_INVALID, "more than 10000 jobs at once"};
    }
    std::vector<Plain> plain;
    plain.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        plain.push_back(checked(at(jobs, i), i));
    }
    require_room(plain);
    std::vector<std::int64_t> ids;
    ids.reserve(count);
    for (const Plain& job : plain) {
        ids.push_back(insert(session, job));
    }
    add_counts(plain);
    return ids;
}

std::vector<Claimed> Store::claim(
    std::string_view queue,
    std::span<const std::string> kinds,
    std::uint32_t most,
    std::string_view owner,
    std::int64_t lease_ns
) {
    std::vector<Claimed> claimed;
    if (kinds.empty() || most == 0) {
        return claimed;
    }
    std::string marks = "?";
    for (std::size_t i = 1; i < kinds.size(); ++i) {
        marks += ", ?";
    }
    // "+ 0": by the order of jobs_rank, not by the index on due times and a sort of all that is
    // due.
    const std::string picked =
        "SELECT id FROM jobs WHERE queue = ? AND status = 'queued' AND due_real_ns + 0 <= ? AND "
        "kind "
        "IN (" +
        marks + ") ORDER BY rank_real_ns, id LIMIT ?";
    const std::string sql =
        "UPDATE jobs SET status = 'running', attempts = attempts + 1, token = token + 1, "
        "owner = ?, owned_until_real_ns = ?, " +
        std::string{k_updated} + " WHERE " +
        (is_postgres() ? "id = ANY(ARRAY(" + picked + " FOR UPDATE SKIP LOCKED))"
                       : "id IN (" + picked + ")") +
        " RETURNING id, token, rank_real_ns, timeout_ms, queue, kind, payload, attempts, "
        "attempts_max, priority";
    write([&](Session& session) {
        claimed.clear();
        const std::int64_t now = clocks_.now_real_ns();
        auto row = session.prepare(sql);
        row.bind_all(owner, now + lease_ns, now, now, queue, now);
        std::uint32_t at = 6;
        for (const std::string& kind : kinds) {
            row.bind(++at, kind);
        }
        row.bind(++at, most);
        while (row.step()) {
            claimed.push_back(
                {row.integer(0),
                 row.integer(1),
                 row.integer(2),
                 row.integer(3),
                 std::string{row.text(4)},
                 std::string{row.text(5)},
                 std::string{row.text(6)},
                 row.as<std::uint32_t>(7),
                 row.as<std::uint32_t>(8),
                 row.as<std::int32_t>(9)}
            );
        }
    });
    std::sort(claimed.begin(), claimed.end(), [](const Claimed& a, const Claimed& b) {
        return std::pair{a.rank_real_ns, a.id} < std::pair{b.rank_real_ns, b.id};
    });
    return claimed;
}

std::vector<bool> Store::extend(std::span<const Claimed> held, std::int64_t lease_ns) {
    std::vector<bool> kept;
    write([&](Session& session) {
        kept.clear();
        for (const Claimed& job : held) {
            session
                .prepare(
                    "UPDATE jobs SET owned_until_real_ns = ? WHERE id = ? AND token = ? AND "
                    "status = 'running'"
                )
                .bind_all(clocks_.now_real_ns() + lease_ns, job.id, job.token)
                .run();
            kept.push_back(session.changes() == 1);
        }
    });
    return kept;
}

// Doubles with each attempt; a fifth up or down, by a hash of the run (SplitMix64).
std::int64_t Store::backoff_ns(const Claimed& job) const noexcept {
    std::int64_t wait_ms = limits_.backoff_ms;
    for (std::uint32_t i = 1; i < job.attempt && wait_ms < limits_.backoff_max_ms; ++i) {
        wait_ms *= 2;
    }
    wait_ms = std::min(wait_ms, limits_.backoff_max_ms);
    std::uint64_t z = static_cast<std::uint64_t>(job.id) * 0x9e3779b97f4a7c15U +
                      static_cast<std::uint64_t>(job.token);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    const auto percent = static_cast<std::int64_t>((z ^ (z >> 31)) % 41);
    return wait_ms * (80 + percent) / 100 * k_ms;
}

std::vector<bool> Store::complete(std::span<const Outcome> outcomes) {
    std::vector<bool> kept;
    write([&](Session& session) {
        kept.clear();
        const std::int64_t now = clocks_.now_real_ns();
        for (const Outcome& outcome : outcomes) {
            const Claimed& job = outcome.job;
            const bool ends = outcome.result == Result::dead ||
                              (outcome.result == Result::retry && job.attempt >= job.attempts_max);
            const bool is_done = outcome.result == Result::done;
            const std::int64_t due = outcome.result == Result::retry ? now + backoff_ns(job) : now;
            session
                .prepare(
                    "UPDATE jobs SET status = ?, attempts = attempts - ?, owner = NULL, "
                    "owned_until_real_ns = NULL, last_error = ?, due_real_ns = CASE WHEN CAST(? AS "
                    "BIGINT) = 1 THEN CAST(? AS BIGINT) ELSE due_real_ns END, rank_real_ns = CASE "
                    "WHEN CAST(? AS BIGINT) = 1 THEN CAST(? AS BIGINT) ELSE rank_real_ns END, " +
                    std::string{k_updated} + " WHERE id = ? AND token = ? AND status = 'running'"
                )
                .bind_all(
                    is_done ? "done"
                    : ends  ? "dead"
                            : "queued",
                    outcome.result == Result::put_back ? 1 : 0,
                    cut(outcome.error),
                    is_done || ends ? 0 : 1,
                    due,
                    is_done || ends ? 0 : 1,
                    rank_of(due, job.priority),
                    now,
                    now,
                    job.id,
                    job.token
                )
                .run();
            kept.push_back(session.changes() == 1);
        }
    });
    return kept;
}

void Store::finish(Session& session, std::int64_t id, std::int64_t token) {
    const std::int64_t now = clocks_.now_real_ns();
    session
        .prepare(
            "UPDATE jobs SET status = 'done', owner = NULL, owned_until_real_ns = NULL, "
            "last_error = '', " +
            std::string{k_updated} + " WHERE id = ? AND token = ? AND status = 'running'"
        )
        .bind_all(now, now, id, token)
        .run();
    if (session.changes() != 1) {
        throw Error{
            TENON_CONFLICT,
            "the lease of job " + std::to_string(id) + " has passed on; its effects are not kept"};
    }
}

void Store::finish_raw(tenon_session* session, std::int64_t id, std::int64_t token) {
    Session mine{storage_.service().table, session};
    finish(mine, id, token);
}

std::int64_t Store::reclaim() {
    std::int64_t changed = 0;
    const std::string over = "status = 'running' AND owned_until_real_ns < ?";
    write([&](Session& session) {
        const std::int64_t now = clocks_.now_real_ns();
        session
            .prepare(
                "UPDATE jobs SET status = CASE WHEN attempts >= attempts_max THEN 'dead' ELSE "
                "'queued' END, owner = NULL, owned_until_real_ns = NULL, last_error = 'the lease "
                "ran out: its server went, or the run took too long', " +
                std::string{k_updated} + " WHERE " +
                (is_postgres() ? "id = ANY(ARRAY(SELECT id FROM jobs WHERE " + over +
                                     " FOR UPDATE SKIP LOCKED))"
                               : over)
            )
            .bind_all(now, now, now)
            .run();
        changed = static_cast<std::int64_t>(session.changes());
    });
    return changed;
}

std::int64_t Store::forget_done(std::int64_t keep_ns) {
    std::int64_t changed = 0;
    write([&](Session& session) {
        session
            .prepare(
                "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE status = 'done' AND "
                "updated_real_ns < ? ORDER BY updated_real_ns LIMIT 5000)"
            )
            .bind_all(clocks_.now_real_ns() - keep_ns)
            .run();
        changed = static_cast<std::int64_t>(session.changes());
    });
    return changed;
}

std::map<std::string, Depth> Store::depths() {
    std::map<std::string, Depth> all;
    storage_.read(deadline(), [&](Session& session) {
        all.clear();
        auto row = session.prepare(
            "SELECT queue, status, count(*), min(due_real_ns) FROM jobs WHERE status = 'queued' "
            "GROUP BY queue, status UNION ALL SELECT queue, status, count(*), 0 FROM jobs WHERE "
            "status = 'running' GROUP BY queue, status UNION ALL SELECT queue, status, count(*), 0 "
            "FROM jobs WHERE status = 'dead' GROUP BY queue, status"
        );
        while (row.step()) {
            Depth& depth = all[std::string{row.text(0)}];
            const std::string_view status = row.text(1);
            (status == "queued"    ? depth.queued
             : status == "running" ? depth.running
                                   : depth.dead) = row.integer(2);
            if (status == "queued") {
                depth.oldest_due_real_ns = row.integer(3);
            }
        }
    });
    const std::lock_guard lock{mutex_};
    queued_.clear();
    for (const auto& [queue, depth] : all) {
        queued_[queue] = depth.queued;
    }
    return all;
}

}  // namespace tenon::jobs
