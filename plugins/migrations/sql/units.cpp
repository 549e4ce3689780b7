// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/units.hpp"

#include <tenon/plugin.hpp>

#include <boost/json.hpp>

namespace tenon::migrations {
namespace {

namespace json = boost::json;

enum class Fit { same, layout, different };

// Of the text that was applied and the file.
Fit fit_of(const Applied& row, const Migration& file) {
    const bool up_same = row.up_sha256 == file.up.sha256;
    const bool down_same = row.down_sha256 == file.down.sha256;
    if (up_same && down_same) {
        return Fit::same;
    }
    const bool up_fits = up_same || (!row.up_normal.empty() && row.up_normal == file.up.normal);
    const bool down_fits =
        down_same || sha256_hex(normalised(row.down_sql, file.down.dialect)) == file.down.normal;
    return up_fits && down_fits ? Fit::layout : Fit::different;
}

const char* state_of(const Applied& row, const std::vector<Migration>& migrations) {
    if (row.version == 0 || row.version > migrations.size()) {
        return "unknown";
    }
    const Migration& file = migrations[row.version - 1];
    return fit_of(row, file) == Fit::different ? "changed" : "applied";
}

json::value optional_ms(std::int64_t real_ns) {
    return real_ns == 0 ? json::value{} : json::value(real_ns / 1'000'000);
}

std::string fault_of(const Applied& row, const Migration& file) {
    const bool up = row.up_sha256 != file.up.sha256 &&
                    (row.up_normal.empty() || row.up_normal != file.up.normal);
    return label(row.version, row.name) + " was changed after it was applied: SHA-256 " +
           (up ? row.up_sha256 : row.down_sha256) + " in the history, " +
           (up ? file.up.sha256 : file.down.sha256) + " of the file" +
           (up ? "" : " for the way down");
}

}  // namespace

void Unit::take_up(const HalfDone& half) {
    kind = Kind::end;
    position = script->statements.size();
    for (const auto& [done, sha256] : half.done) {
        if (done >= script->statements.size() || script->statements[done].sha256 != sha256) {
            throw Error{
                TENON_CONFLICT,
                what() + " is half done, and its statement " + std::to_string(done + 1) +
                    " is not what ran: put the file back, or repair with a reason"};
        }
    }
    for (std::size_t i = 0; i < script->statements.size(); ++i) {
        if (!half.done.contains(i)) {
            kind = Kind::statement;
            position = i;
            started_before = half.started == i;
            return;
        }
    }
}

JournalRow Unit::journal(std::int64_t done_real_ns) const {
    return {version, direction, position, statement().sha256, began_real_ns, done_real_ns};
}

std::string Unit::what() const {
    return (direction == Direction::up ? "migration " : "taking back ") + label(version, name);
}

std::vector<std::string> compare(
    const HistoryState& state,
    const std::vector<Migration>& migrations,
    std::vector<std::string>& warnings
) {
    std::vector<std::string> faults;
    std::uint32_t expected = 1;
    for (const Applied& row : state.applied) {
        if (row.version != expected) {
            faults.push_back("the history has no version " + std::to_string(expected));
        }
        expected = row.version + 1;
        if (row.version == 0 || row.version > migrations.size()) {
            // Servers of two versions work side by side until a contract takes away what the older
            // one needs. A phase that nobody recorded may be anything.
            const bool breaks = row.version == 0 || row.phase.empty() || row.phase == "contract";
            (breaks ? faults : warnings)
                .push_back(
                    "the database is at " + label(row.version, row.name) +
                    ", newer than this server, which knows up to " +
                    std::to_string(migrations.size()) +
                    (breaks ? ": start a newer server, or take the schema back with migrate.down"
                            : ": it only adds, this server works with it")
                );
            continue;
        }
        const Migration& file = migrations[row.version - 1];
        const Fit fit = fit_of(row, file);
        if (file.name != row.name) {
            faults.push_back(
                "version " + std::to_string(row.version) + " was applied as " + row.name +
                ", the file says " + file.name
            );
        } else if (fit == Fit::different) {
            faults.push_back(fault_of(row, file));
        } else if (fit == Fit::layout) {
            warnings.push_back(
                label(row.version, row.name) +
                " was changed in layout or comments after it was "
                "applied"
            );
        }
    }
    return faults;
}

Applied applied_row(const Migration& migration) {
    Applied row;
    row.version = migration.version;
    row.name = migration.name;
    row.up_sha256 = migration.up.sha256;
    row.down_sha256 = migration.down.sha256;
    row.down_sql = migration.down.sql;
    row.up_normal = migration.up.normal;
    row.phase = migration.up.metadata.phase;
    return row;
}

std::string report_of(
    const HistoryState& state,
    const std::vector<Migration>& migrations,
    const std::vector<Event>& events
) {
    json::array rows;
    for (const Applied& row : state.applied) {
        rows.push_back(json::object{
            {"version", row.version},
            {"name", row.name},
            {"state", state_of(row, migrations)},
            {"checksum", row.up_sha256},
            {"applied_at", optional_ms(row.applied_real_ns)},
            {"phase", row.phase},
            {"ms", row.duration_ns / 1'000'000}});
    }
    for (std::size_t i = state.applied.size(); i < migrations.size(); ++i) {
        const Migration& file = migrations[i];
        rows.push_back(json::object{
            {"version", file.version},
            {"name", file.name},
            {"state", "pending"},
            {"checksum", file.up.sha256},
            {"applied_at", nullptr},
            {"phase", file.up.metadata.phase},
            {"ms", nullptr}});
    }
    json::value half;
    if (state.half) {
        half = json::object{
            {"version", state.half->version},
            {"direction", state.half->direction == Direction::up ? "up" : "down"},
            {"statements_done", state.half->done.size()}};
    }
    json::array told;
    for (const Event& event : events) {
        told.push_back(json::object{
            {"at", event.at_real_ns / 1'000'000},
            {"action", event.action},
            {"version", event.version},
            {"reason", event.reason},
            {"detail", event.detail}});
    }
    return json::serialize(json::object{
        {"current", state.applied.empty() ? 0U : state.applied.back().version},
        {"latest", migrations.size()},
        {"migrations", std::move(rows)},
        {"half_done", std::move(half)},
        {"events", std::move(told)}});
}

void require_reason(const std::string& reason) {
    if (reason.find_first_not_of(" \t\n") == std::string::npos || reason.size() > 1000) {
        throw Error{TENON_INVALID, "/reason: expected why, 1 to 1000 characters; it is kept"};
    }
}

void require_same(
    const SchemaObjects& expected,
    const SchemaObjects& found,
    std::uint32_t version
) {
    const std::vector<SchemaDifference> all = difference(expected, found);
    if (all.empty()) {
        return;
    }
    constexpr std::size_t k_most = 20;
    std::string text = "the schema is not that of version " + std::to_string(version) + ":";
    for (std::size_t i = 0; i < all.size() && i < k_most; ++i) {
        text.append("\n")
            .append(all[i].object)
            .append(
                all[i].expected.empty() ? " should not be there"
                : all[i].found.empty()  ? " is missing"
                                        : " differs"
            );
    }
    if (all.size() > k_most) {
        text.append("\nand ").append(std::to_string(all.size() - k_most)).append(" more");
    }
    throw Error{TENON_CONFLICT, text};
}

}  // namespace tenon::migrations
