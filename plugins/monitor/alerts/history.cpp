// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/alerts/history.hpp"

#include "plugins/monitor/alerts/webhook.hpp"

#include <tenon/json.hpp>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace tenon::alerts {
namespace {

constexpr std::int64_t k_ms = 1'000'000;
constexpr std::size_t k_component_max = 64;
constexpr std::size_t k_server_max = 24;
constexpr std::size_t k_message_max = 1'024;

// At most `max` characters, all of them printable ASCII; what was cut is told apart by its sum.
std::string shortened(std::string_view text, std::size_t max) {
    constexpr std::size_t k_sum = 9;
    std::string out{text};
    if (out.size() > max) {
        out = out.substr(0, max - k_sum) + "~" + sha256(text).substr(0, k_sum - 1);
    }
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?'
    );
    return out;
}

std::string message_of(const Alert& alert, std::string_view summary) {
    char value[32];
    (void)std::snprintf(value, sizeof(value), "%.6g", alert.value);
    std::string out{summary.substr(0, k_message_max)};
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?'
    );
    return out.append(": ").append(value);
}

}  // namespace

void History::set_server(std::string_view server) {
    const std::lock_guard lock{mutex_};
    prefix_ = shortened(server, k_server_max) + "/";
}

std::string History::component_of(const Alert& alert) const {
    std::string labels;
    for (const auto& [label, value] : alert.labels) {
        labels.append(labels.empty() ? "" : ",").append(value);
    }
    return prefix_ + shortened(labels, k_component_max - prefix_.size());
}

void History::remember(Entry entry) {
    entries_.push_front(std::move(entry));
    if (entries_.size() > k_kept) {
        entries_.pop_back();
    }
}

void History::add(const AlertEvent& event, std::string_view summary, std::int64_t at_ms) {
    const std::lock_guard lock{mutex_};
    const Alert& alert = event.alert;
    Entry entry{
        alert.rule,
        component_of(alert),
        std::string{to_text(alert.severity)},
        message_of(alert, summary),
        alert.fired_ms,
        0};
    if (event.kind == AlertEvent::Kind::resolved) {
        entry.ended_ms = std::max(at_ms, alert.fired_ms);
        const auto same = [&](const Entry& one) {
            return one.ended_ms == 0 && one.rule == entry.rule && one.level == entry.level &&
                   one.component == entry.component;
        };
        const auto open = std::find_if(entries_.begin(), entries_.end(), same);
        if (open != entries_.end()) {
            open->ended_ms = entry.ended_ms;
        }
    } else {
        remember(entry);
    }
    pending_.push_back(std::move(entry));
    if (pending_.size() > k_pending_max) {
        pending_.pop_front();
        ++taken_;
        ++lost_;
    }
}

void History::load(const Storage& storage, std::int64_t now_ms, std::int64_t deadline_ns) {
    std::string from;
    {
        const std::lock_guard lock{mutex_};
        from = prefix_;
    }
    std::string to = from;
    to.back() = '0';  // what comes after '/'
    std::vector<Entry> found;
    storage.write(deadline_ns, [&](Session& session) {
        session
            .prepare(
                "UPDATE alerts SET resolved_real_ns = CASE WHEN raised_real_ns > ? THEN "
                "raised_real_ns ELSE ? END WHERE resolved_real_ns IS NULL AND "
                "component >= ? AND component < ?"
            )
            .bind_all(now_ms * k_ms, now_ms * k_ms, from, to)
            .run();
        found.clear();
        Statement rows = session.prepare(
            "SELECT name, component, level, message, raised_real_ns, resolved_real_ns FROM alerts "
            "WHERE component >= ? AND component < ? ORDER BY raised_real_ns DESC LIMIT 1000"
        );
        rows.bind_all(from, to);
        while (rows.step()) {
            found.push_back(
                {std::string{rows.text(0)},
                 std::string{rows.text(1)},
                 std::string{rows.text(2)},
                 std::string{rows.text(3)},
                 rows.integer(4) / k_ms,
                 rows.is_null(5) ? 0 : rows.integer(5) / k_ms}
            );
        }
    });
    const std::lock_guard lock{mutex_};
    for (Entry& entry : found) {  // what has happened since the start stays before them
        if (entries_.size() < k_kept) {
            entries_.push_back(std::move(entry));
        }
    }
}

void History::save(const Storage& storage, std::int64_t deadline_ns) {
    std::deque<Entry> pending;
    std::uint64_t end = 0;
    {
        const std::lock_guard lock{mutex_};
        pending = pending_;
        end = taken_ + pending.size();
    }
    if (pending.empty()) {
        return;
    }
    // Doing it twice changes nothing: a transaction whose outcome was lost is done again. The
    // conflict is with an open row of the same alert, whose end was lost or is another server's.
    storage.write(deadline_ns, [&](Session& session) {
        for (const Entry& entry : pending) {
            if (entry.ended_ms == 0) {
                session
                    .prepare(
                        "INSERT INTO alerts (name, component, level, message, raised_real_ns) "
                        "SELECT ?, ?, ?, ?, CAST(? AS bigint) WHERE NOT EXISTS (SELECT 1 FROM "
                        "alerts WHERE name = ? AND component = ? AND level = ? AND "
                        "raised_real_ns = ?) ON CONFLICT DO NOTHING"
                    )
                    .bind_all(
                        entry.rule,
                        entry.component,
                        entry.level,
                        entry.message,
                        entry.fired_ms * k_ms,
                        entry.rule,
                        entry.component,
                        entry.level,
                        entry.fired_ms * k_ms
                    )
                    .run();
                continue;
            }
            session
                .prepare(
                    "UPDATE alerts SET resolved_real_ns = ? WHERE resolved_real_ns IS NULL AND "
                    "name = ? AND component = ? AND level = ? AND raised_real_ns = ?"
                )
                .bind_all(
                    entry.ended_ms * k_ms,
                    entry.rule,
                    entry.component,
                    entry.level,
                    entry.fired_ms * k_ms
                )
                .run();
        }
    });
    const std::lock_guard lock{mutex_};
    while (taken_ < end && !pending_.empty()) {  // what came meanwhile stays
        pending_.pop_front();
        ++taken_;
    }
}

std::uint64_t
History::clean(const Storage& storage, std::int64_t before_ms, std::int64_t deadline_ns) {
    std::uint64_t gone = 0;
    storage.write(deadline_ns, [&](Session& session) {
        session
            .prepare(
                "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE "
                "resolved_real_ns IS NOT NULL AND raised_real_ns < ? ORDER BY raised_real_ns "
                "LIMIT 500)"
            )
            .bind_all(before_ms * k_ms)
            .run();
        gone = session.changes();
    });
    return gone;
}

std::string History::json(std::size_t limit) const {
    const std::lock_guard lock{mutex_};
    std::string out{"{\"alerts\":["};
    for (std::size_t i = 0; i < std::min(limit, entries_.size()); ++i) {
        const Entry& entry = entries_[i];
        out.append(i == 0 ? "{\"rule\":" : ",{\"rule\":");
        append_json(out, entry.rule);
        out.append(",\"severity\":");
        append_json(out, entry.level);
        out.append(",\"component\":");
        append_json(out, entry.component);
        out.append(",\"message\":");
        append_json(out, entry.message);
        out.append(",\"fired_ms\":").append(std::to_string(entry.fired_ms));
        out.append(",\"ended_ms\":").append(std::to_string(entry.ended_ms)).append("}");
    }
    out.append("],\"unwritten\":").append(std::to_string(pending_.size()));
    return out.append(",\"lost\":").append(std::to_string(lost_)).append("}");
}

std::uint64_t History::lost() const {
    const std::lock_guard lock{mutex_};
    return lost_;
}

}  // namespace tenon::alerts
