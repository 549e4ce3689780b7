// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/partitions.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <optional>
#include <set>

namespace tenon::archive {
namespace {

// [from, to); a bound that is no number (MINVALUE) is open.
struct Partition {
    std::string name;
    std::int64_t from = INT64_MIN, to = INT64_MAX;
};

std::string name_of_day(const std::string& table, std::int64_t day_ns) {
    const std::time_t seconds = day_ns / 1'000'000'000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 16> text{};
    (void)std::strftime(text.data(), text.size(), "%Y%m%d", &parts);
    return table + "_p" + text.data();
}

// "FOR VALUES FROM ('5') TO ('7')"
Partition partition_of(std::string_view name, std::string_view bounds) {
    Partition partition{std::string{name}};
    const auto read = [&](std::string_view word, std::int64_t& value) {
        const std::size_t at = bounds.find(word);
        if (at == std::string_view::npos) {
            return;
        }
        const char* const first = bounds.data() + at + word.size();
        (void)std::from_chars(first, bounds.data() + bounds.size(), value);
    };
    read("FROM ('", partition.from);
    read("TO ('", partition.to);
    return partition;
}

bool is_partitioned(Session& session, const HistoryTable& table) {
    Statement rows = session.prepare(
        "SELECT count(*) FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_attribute a ON "
        "a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] WHERE p.partrelid = "
        "pg_catalog.to_regclass(?) AND p.partstrat = 'r' AND p.partnatts = 1 AND a.attname = ?"
    );
    rows.bind_all(table.table, table.time);
    std::int64_t count = 0;
    while (rows.step()) {
        count = rows.integer(0);
    }
    return count != 0;
}

std::vector<Partition> partitions_of(Session& session, const std::string& table) {
    Statement rows = session.prepare(
        "SELECT c.relname::text, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM "
        "pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE "
        "i.inhparent = pg_catalog.to_regclass(?)"
    );
    rows.bind(1, table);
    std::vector<Partition> found;
    while (rows.step()) {
        if (rows.text(1) != "DEFAULT") {
            found.push_back(partition_of(rows.text(0), rows.text(1)));
        }
    }
    return found;
}

bool is_covered(const std::vector<Partition>& partitions, std::int64_t at) {
    for (const Partition& one : partitions) {
        if (one.from <= at && at < one.to) {
            return true;
        }
    }
    return false;
}

}  // namespace

PartitionsMade make_partitions(
    const Storage& storage,
    std::int64_t deadline_ns,
    std::int64_t now_real_ns,
    std::int64_t ahead_days
) {
    PartitionsMade out;
    if (storage.dialect() != "postgres") {
        return out;
    }
    const std::int64_t today = now_real_ns - now_real_ns % k_day_ns;
    std::set<std::string> seen;
    for (const HistoryTable& table : history_tables()) {
        if (!seen.insert(table.table).second) {
            continue;
        }
        std::vector<Partition> present;
        bool is_ours = false;
        storage.read(deadline_ns, [&](Session& session) {
            is_ours = is_partitioned(session, table);
            present = is_ours ? partitions_of(session, table.table) : std::vector<Partition>{};
        });
        for (std::int64_t day = 0; is_ours && day <= ahead_days; ++day) {
            const std::int64_t from = today + day * k_day_ns;
            if (is_covered(present, from)) {
                continue;
            }
            try {
                storage.write(deadline_ns, [&](Session& session) {
                    session.execute(
                        "CREATE TABLE IF NOT EXISTS " + name_of_day(table.table, from) +
                        " PARTITION OF " + table.table + " FOR VALUES FROM (" +
                        std::to_string(from) + ") TO (" + std::to_string(from + k_day_ns) + ")"
                    );
                });
                ++out.made;
            } catch (const StorageError& e) {
                out.problems.push_back(name_of_day(table.table, from) + ": " + e.what());
            }
        }
    }
    return out;
}

std::uint64_t drop_empty_partitions(
    const Storage& storage,
    std::int64_t deadline_ns,
    const std::string& table,
    std::int64_t before_real_ns
) {
    std::uint64_t dropped = 0;
    if (storage.dialect() != "postgres") {
        return dropped;
    }
    std::vector<Partition> present;
    storage.read(deadline_ns, [&](Session& session) { present = partitions_of(session, table); });
    for (const Partition& one : present) {
        if (one.to > before_real_ns || one.from == INT64_MIN ||
            one.name != name_of_day(table, one.from)) {
            continue;
        }
        bool is_empty = false;
        storage.write(deadline_ns, [&](Session& session) {
            // Readers and writers of the others wait for this no longer than a second, nor it for
            // them: the next run tries again.
            session.execute(
                "SET LOCAL lock_timeout = '1s'; LOCK TABLE " + one.name +
                " IN ACCESS EXCLUSIVE MODE"
            );
            is_empty = true;
            Statement rows = session.prepare("SELECT 1 FROM " + one.name + " LIMIT 1");
            while (rows.step()) {
                is_empty = false;
            }
            if (is_empty) {
                session.execute("DROP TABLE " + one.name);
            }
        });
        dropped += is_empty ? 1U : 0U;
    }
    return dropped;
}

}  // namespace tenon::archive
