// SPDX-License-Identifier: Apache-2.0
// What operators see and do, and schedules.
#include "plugins/jobs/store.hpp"

#include <tenon/json.hpp>

#include <array>

namespace tenon::jobs {
namespace {

constexpr std::int64_t k_patience_ns = 30'000'000'000;
constexpr std::string_view k_columns =
    "id, queue, kind, status, priority, attempts, attempts_max, due_real_ns, created_real_ns, "
    "updated_real_ns, owner, last_error";

// The row of k_columns; `more`: the payload follows it.
void append_row(std::string& out, Statement& row, bool more) {
    static constexpr std::array<std::string_view, 12> k_names{
        "id",
        "queue",
        "kind",
        "status",
        "priority",
        "attempts",
        "attempts_max",
        "due_real_ns",
        "created_real_ns",
        "updated_real_ns",
        "owner",
        "last_error"};
    out += '{';
    for (std::uint32_t i = 0; i < k_names.size(); ++i) {
        out.append(i == 0 ? "" : ",");
        append_json(out, k_names[i]);
        out += ':';
        const tenon_value value = row.value(i);
        if (value.kind == TENON_VALUE_INT64) {
            out += std::to_string(value.i);
        } else if (value.kind == TENON_VALUE_TEXT) {
            append_json(out, view(value.b));
        } else {
            out += "null";
        }
    }
    if (more) {
        out.append(",\"payload\":").append(row.text(12));  // was read as JSON when it came
    }
    out += '}';
}

[[noreturn]] void refuse(Session& session, std::int64_t id, std::string_view wanted) {
    auto row = session.prepare("SELECT status FROM jobs WHERE id = ?");
    row.bind(1, id);
    std::string status;
    while (row.step()) {
        status = row.text(0);
    }
    const std::string name = "job " + std::to_string(id);
    if (status.empty()) {
        throw Error{TENON_NOT_FOUND, "there is no " + name};
    }
    throw Error{TENON_CONFLICT, name + " is " + status + ", expected " + std::string{wanted}};
}

}  // namespace

std::string Store::list(std::string_view queue, std::string_view status, std::int64_t limit) {
    if (limit < 1 || limit > 1'000) {
        throw Error{TENON_INVALID, "limit: expected 1 to 1000, found " + std::to_string(limit)};
    }
    if (!status.empty() && status != "queued" && status != "running" && status != "done" &&
        status != "dead") {
        throw Error{TENON_INVALID, "status: expected queued, running, done or dead"};
    }
    std::string out;
    storage_.read(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        out = "[";
        auto row = session.prepare(
            "SELECT " + std::string{k_columns} +
            " FROM jobs WHERE (CAST(? AS TEXT) = '' OR queue = ?) AND (CAST(? AS TEXT) = '' OR "
            "status = ?) ORDER BY id DESC LIMIT ?"
        );
        row.bind_all(queue, queue, status, status, limit);
        while (row.step()) {
            out.append(out.size() == 1 ? "" : ",");
            append_row(out, row, false);
        }
        out += ']';
    });
    return out;
}

std::string Store::show(std::int64_t id) {
    std::string out;
    storage_.read(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        out.clear();
        auto row = session.prepare(
            "SELECT " + std::string{k_columns} + ", payload FROM jobs WHERE id = ?"
        );
        row.bind(1, id);
        while (row.step()) {
            append_row(out, row, true);
        }
    });
    if (out.empty()) {
        throw Error{TENON_NOT_FOUND, "there is no job " + std::to_string(id)};
    }
    return out;
}

void Store::replay(std::int64_t id) {
    storage_.write(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        const std::int64_t now = clocks_.now_real_ns();
        session
            .prepare(
                "UPDATE jobs SET status = 'queued', attempts = 0, due_real_ns = ?, "
                "rank_real_ns = CAST(? AS BIGINT) - priority * 60000000000, updated_real_ns = "
                "CASE WHEN CAST(? AS BIGINT) > created_real_ns THEN CAST(? AS BIGINT) ELSE "
                "created_real_ns END WHERE id = ? AND status = 'dead'"
            )
            .bind_all(now, now, now, now, id)
            .run();
        if (session.changes() != 1) {
            refuse(session, id, "dead");
        }
    });
}

void Store::discard(std::int64_t id) {
    storage_.write(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        session.prepare("DELETE FROM jobs WHERE id = ? AND status IN ('dead', 'queued')")
            .bind_all(id)
            .run();
        if (session.changes() != 1) {
            refuse(session, id, "dead or queued");
        }
    });
}

void Store::schedule(const tenon_job_schedule& wanted) {
    const std::string_view name = view(wanted.name), rule_text = view(wanted.rule);
    tenon_job named = wanted.job;
    named.queue = wanted.name;  // names have one form
    (void)checked(named, 0);
    const Plain job = checked(wanted.job, 0);
    const Rule rule{rule_text};
    storage_.write(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        const std::int64_t now = clocks_.now_real_ns();
        session
            .prepare(
                "INSERT INTO job_schedules (name, queue, kind, payload, priority, attempts_max, "
                "timeout_ms, rule, next_real_ns, updated_real_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
                "?, ?) ON CONFLICT (name) DO UPDATE SET queue = excluded.queue, kind = "
                "excluded.kind, payload = excluded.payload, priority = excluded.priority, "
                "attempts_max = excluded.attempts_max, timeout_ms = excluded.timeout_ms, "
                "next_real_ns = CASE WHEN job_schedules.rule = excluded.rule THEN "
                "job_schedules.next_real_ns ELSE excluded.next_real_ns END, rule = excluded.rule, "
                "updated_real_ns = excluded.updated_real_ns"
            )
            .bind_all(
                name,
                job.queue,
                job.kind,
                job.payload,
                job.priority,
                job.attempts_max,
                job.timeout_ms,
                rule_text,
                rule.first(now),
                now
            )
            .run();
    });
}

bool Store::unschedule(std::string_view name) {
    bool was = false;
    storage_.write(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        session.prepare("DELETE FROM job_schedules WHERE name = ?").bind_all(name).run();
        was = session.changes() == 1;
    });
    return was;
}

std::int64_t Store::run_schedules() {
    struct Due {
        std::string name, queue, kind, payload, rule;
        std::int64_t priority, attempts_max, timeout_ms, next_real_ns;
    };

    std::int64_t made = 0;
    storage_.write(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        made = 0;
        if (is_postgres()) {
            session.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
        }
        const std::int64_t now = clocks_.now_real_ns();
        std::vector<Due> all;
        auto row = session.prepare(
            "SELECT name, queue, kind, payload, rule, priority, attempts_max, timeout_ms, "
            "next_real_ns FROM job_schedules WHERE next_real_ns <= ? ORDER BY next_real_ns LIMIT "
            "100" +
            std::string{is_postgres() ? " FOR UPDATE SKIP LOCKED" : ""}
        );
        row.bind(1, now);
        while (row.step()) {
            all.push_back(
                {std::string{row.text(0)},
                 std::string{row.text(1)},
                 std::string{row.text(2)},
                 std::string{row.text(3)},
                 std::string{row.text(4)},
                 row.integer(5),
                 row.integer(6),
                 row.integer(7),
                 row.integer(8)}
            );
        }
        for (const Due& due : all) {
            session.prepare("UPDATE job_schedules SET next_real_ns = ? WHERE name = ?")
                .bind_all(Rule{due.rule}.next(due.next_real_ns, now), due.name)
                .run();
            if (!has_room(due.queue)) {
                continue;  // as one that was missed
            }
            const std::string key = "schedule/" + due.name + "/" + std::to_string(due.next_real_ns);
            (void)insert(
                session,
                {due.queue,
                 due.kind,
                 due.payload,
                 key,
                 due.next_real_ns,
                 due.timeout_ms,
                 static_cast<std::int32_t>(due.priority),
                 static_cast<std::uint32_t>(due.attempts_max)}
            );
            ++made;
        }
    });
    return made;
}

std::string Store::list_schedules() {
    std::string out;
    storage_.read(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        out = "[";
        auto row = session.prepare(
            "SELECT name, rule, queue, kind, next_real_ns FROM job_schedules ORDER BY name LIMIT "
            "1000"
        );
        while (row.step()) {
            out.append(out.size() == 1 ? "{\"name\":" : ",{\"name\":");
            append_json(out, row.text(0));
            out += ",\"rule\":";
            append_json(out, row.text(1));
            out += ",\"queue\":";
            append_json(out, row.text(2));
            out += ",\"kind\":";
            append_json(out, row.text(3));
            out.append(",\"next_real_ns\":").append(std::to_string(row.integer(4))) += '}';
        }
        out += ']';
    });
    return out;
}

std::vector<std::string> Store::schedule_names(std::string_view prefix) {
    std::vector<std::string> names;
    storage_.read(clocks_.now_ns() + k_patience_ns, [&](Session& session) {
        names.clear();
        auto row = session.prepare("SELECT name FROM job_schedules ORDER BY name");
        while (row.step()) {
            if (row.text(0).starts_with(prefix)) {
                names.emplace_back(row.text(0));
            }
        }
    });
    return names;
}

}  // namespace tenon::jobs
