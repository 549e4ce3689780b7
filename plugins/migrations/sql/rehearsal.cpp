// SPDX-License-Identifier: Apache-2.0
#include "plugins/migrations/sql/rehearsal.hpp"

#include <boost/json.hpp>

#include <map>
#include <set>
#include <utility>

namespace tenon::migrations {
namespace {

namespace json = boost::json;

// Locks of this session on relations of the schema, that keep others from something.
constexpr std::string_view k_locks =
    "SELECT DISTINCT c.relname::text, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
    "WHERE l.pid = pg_backend_pid() AND l.granted AND l.locktype = 'relation' "
    "AND c.relnamespace = current_schema()::regnamespace AND left(c.relname, 7) <> 'schema_' "
    "AND l.mode NOT IN ('AccessShareLock', 'SIReadLock') ORDER BY 1, 2";

constexpr std::string_view k_files =
    "SELECT CAST(c.oid AS BIGINT), c.relname::text, CAST(pg_relation_filenode(c.oid) AS BIGINT) "
    "FROM pg_class c WHERE c.relkind IN ('r', 'm') AND c.relnamespace = "
    "current_schema()::regnamespace";

using Lock = std::pair<std::string, std::string>;

// Writes down what each statement does.
class Recorder final : public Observer {
public:
    explicit Recorder(Dialect dialect) : postgres_{dialect == Dialect::postgres} {}

    void before(Session& session, const StatementSeen&) override {
        if (postgres_) {
            locks_ = locks(session);
            files_ = files(session);
        }
    }

    void after(Session& session, const StatementSeen& seen) override {
        json::object row{
            {"migration", seen.migration},
            {"direction", seen.direction == Direction::up ? "up" : "down"},
            {"position", seen.position + 1},
            {"line", seen.statement->sql.line},
            {"sql", summary_of(seen.statement->sql)},
            {"ms", static_cast<double>(seen.duration_ns / 1000) / 1000.0}};
        if (postgres_) {
            row["locks"] = new_locks(session, *seen.statement);
            row["rewrites"] = rewrites(session);
        }
        rows_.push_back(std::move(row));
    }

    [[nodiscard]] json::array take() { return std::move(rows_); }

private:
    struct File {
        std::string table;
        std::int64_t node = 0;
    };

    static std::set<Lock> locks(Session& session) {
        std::set<Lock> all;
        for (Statement row = session.prepare(k_locks); row.step();) {
            all.emplace(row.text(0), row.text(1));
        }
        return all;
    }

    static std::map<std::int64_t, File> files(Session& session) {
        std::map<std::int64_t, File> all;
        for (Statement row = session.prepare(k_files); row.step();) {
            if (!row.is_null(2)) {
                all[row.integer(0)] = File{std::string{row.text(1)}, row.integer(2)};
            }
        }
        return all;
    }

    json::array new_locks(Session& session, const ScriptStatement& statement) const {
        json::array list;
        if (statement.alone == Alone::create_index || statement.alone == Alone::drop_index) {
            // Given back by now; the manual says which (13.3.1).
            list.push_back(json::object{{"table", nullptr}, {"mode", "ShareUpdateExclusiveLock"}});
            return list;
        }
        for (const auto& [table, mode] : locks(session)) {
            if (!locks_.contains({table, mode})) {
                list.push_back(json::object{{"table", table}, {"mode", mode}});
            }
        }
        return list;
    }

    json::array rewrites(Session& session) const {
        json::array list;
        for (const auto& [oid, file] : files(session)) {
            const auto old = files_.find(oid);
            if (old != files_.end() && old->second.node != file.node) {
                list.emplace_back(file.table);
            }
        }
        return list;
    }

    bool postgres_;
    std::set<Lock> locks_;
    std::map<std::int64_t, File> files_;
    json::array rows_;
};

SchemaObjects schema_of(Migrator& migrator) {
    SchemaObjects objects;
    const std::int64_t deadline = migrator.deadline_ns();
    migrator.storage().read(deadline, [&](Session& session) {
        objects = read_schema(session, migrator.dialect());
    });
    return objects;
}

}  // namespace

std::string dry_run(Migrator& migrator, const UpRequest& request) {
    const StorageClone clone = migrator.storage().clone(true, migrator.deadline_ns());
    Migrator trial = migrator.over(*clone);
    Recorder recorder{trial.dialect()};
    trial.observe(&recorder);
    const auto start = trial.state();
    const std::uint32_t from = start.applied.empty() ? 0 : start.applied.back().version;
    const std::string before = schema_hash(schema_of(trial));
    json::value error;
    std::string after;
    std::string back;
    std::uint32_t to = from;
    try {
        trial.up(request);
        to = trial.version();
        after = schema_hash(schema_of(trial));
        trial.down(from, true);
        back = schema_hash(schema_of(trial));
    } catch (const Error& e) {
        error = e.what();
    }
    const bool reversible = error.is_null() && before == back;
    return json::serialize(json::object{
        {"ok", reversible},
        {"from", from},
        {"to", to},
        {"schema_before", before},
        {"schema_after", after},
        {"schema_back", back},
        {"reversible", reversible},
        {"error", std::move(error)},
        {"statements", recorder.take()}});
}

SchemaObjects expected_schema(Migrator& migrator, std::uint32_t version) {
    const StorageClone clone = migrator.storage().clone(false, migrator.deadline_ns());
    Migrator trial = migrator.over(*clone);
    clone->write(migrator.deadline_ns(), [&](Session& session) {
        empty_schema(session, trial.dialect());
    });
    UpRequest request;
    request.to = version;
    request.allow_contract = true;
    trial.up(request);
    return schema_of(trial);
}

std::string drift(Migrator& migrator) {
    const HistoryState state = migrator.state();
    if (state.half) {
        throw Error{
            TENON_CONFLICT,
            "version " + std::to_string(state.half->version) +
                " is half done: the schema is that of no version; migrate up or down ends it"};
    }
    const std::uint32_t version = state.applied.empty() ? 0 : state.applied.back().version;
    if (version > migrator.latest()) {
        throw Error{
            TENON_CONFLICT,
            "the database is at version " + std::to_string(version) +
                ", newer than these files, which go up to " + std::to_string(migrator.latest())};
    }
    const SchemaObjects found = schema_of(migrator);
    const SchemaObjects expected = expected_schema(migrator, version);
    json::array differences;
    for (const SchemaDifference& d : difference(expected, found)) {
        const auto text = [](const std::string& s) {
            return s.empty() ? json::value{} : json::value(s);
        };
        differences.push_back(json::object{
            {"object", d.object},
            {"state",
             d.expected.empty() ? "unexpected"
             : d.found.empty()  ? "missing"
                                : "different"},
            {"expected", text(d.expected)},
            {"found", text(d.found)}});
    }
    return json::serialize(json::object{
        {"ok", differences.empty()},
        {"version", version},
        {"schema", schema_hash(found)},
        {"expected", schema_hash(expected)},
        {"differences", std::move(differences)}});
}

}  // namespace tenon::migrations
