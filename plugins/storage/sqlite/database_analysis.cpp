// SPDX-License-Identifier: Apache-2.0
// The query cache's path, and copies of the database for trials.
#include "plugins/storage/sqlite/database.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tenon::sqlite {
namespace {

constexpr std::string_view k_clone_mark = ".clone-";
constexpr int k_copy_pages = 2'000;  // between two looks at the deadline

tenon_status give(const CachedRows& rows, tenon_row_fn row, void* ctx) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const tenon_status status = row(ctx, rows.row(i).data(), rows.columns());
        if (status != TENON_OK) {
            return status;
        }
    }
    return TENON_OK;
}

void remove_database(const std::string& file) noexcept {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
        ::unlink((file + suffix).c_str());
    }
}

// What clone() makes: a number, and a file of SQLite's.
bool is_clone_ending(std::string_view name) noexcept {
    const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    const std::string_view rest = name.substr(digits);
    return digits != 0 && (rest.empty() || rest == "-wal" || rest == "-shm" || rest == "-journal");
}

// A copy and what becomes of it while it is tried need about twice its size.
void require_room(const std::string& file, std::uint64_t bytes) {
    struct stat wal {};

    struct statvfs disk {};

    if (::stat((file + "-wal").c_str(), &wal) == 0) {
        bytes += static_cast<std::uint64_t>(wal.st_size);
    }
    const std::string folder = file.substr(0, file.rfind('/') + 1);
    if (::statvfs(folder.c_str(), &disk) != 0) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "cannot tell the room in " + folder + ": " + std::strerror(errno),
            Failure::permanent};
    }
    const std::uint64_t room = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    if (room < bytes) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "a copy of " + file + " needs " + std::to_string(bytes) + " bytes, " + folder +
                " has " + std::to_string(room),
            Failure::permanent};
    }
}

// Somebody may still use them, and even call: they stay until the process ends.
void keep_for_good(std::unique_ptr<DatabaseHolder> used) noexcept {
    static std::mutex mutex;
    static auto* const all = new std::vector<DatabaseHolder*>;  // seen by leak checkers
    const std::lock_guard lock{mutex};
    DatabaseHolder* const one = used.release();
    (void)guard(nullptr, [&] { all->push_back(one); });
}

}  // namespace

// A session that goes back by itself.
class Database::Borrowed {
public:
    Borrowed(Database& database, std::uint32_t intent, std::int64_t deadline_ns)
        : database_{database}, connection_{database.lease(intent, deadline_ns)} {}

    ~Borrowed() { database_.release(connection_); }

    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

    Connection* operator->() const noexcept { return connection_; }

private:
    Database& database_;
    Connection* connection_;
};

tenon_status Database::query(const tenon_query& query, tenon_row_fn row, void* ctx) {
    const std::span<const tenon_value> values{query.values, query.value_count};
    const bool caches = queries_.is_on() && queries_.serves() && query.ttl_ms != 0;
    if (!caches) {
        return run_query(query, row, ctx, nullptr);
    }
    const std::int64_t ttl_ns =
        query.ttl_ms < 0 ? queries_.ttl_ns() : std::min(query.ttl_ms, k_ttl_ms_max) * k_ms;
    QueryCache::Key key = queries_.key_of(view(query.sql), values);
    if (const auto rows = queries_.find(key, ttl_ns, telemetry_.now_ns())) {
        return give(*rows, row, ctx);
    }
    return run_query(query, row, ctx, &key);
}

// With a key the rows are kept.
tenon_status
Database::run_query(const tenon_query& query, tenon_row_fn row, void* ctx, QueryCache::Key* key) {
    // Before the reader: one of a file that was replaced meanwhile must not answer for the new one.
    const QueryCache::Dependencies file = queries_.depends_on({});
    const ReaderPool::Lease connection = take_reader(query.deadline_ns, "query");
    (void)connection->begin_current();  // else a table of a moment ago might be missed
    Prepared* statement = &connection->prepare(view(query.sql));
    const bool keeps = key != nullptr && statement->use().is_repeatable();
    const std::vector<std::uint16_t> tables = statement->use().read();
    QueryCache::Dependencies before = queries_.depends_on(tables);
    before.insert(before.end(), file.begin(), file.end());
    // The snapshot must not be older than these counters.
    if (!connection->begin_current()) {
        statement = &connection->prepare(view(query.sql));
    }
    for (std::uint32_t i = 0; i < query.value_count; ++i) {
        statement->bind(i + 1, query.values[i]);
    }
    const std::int64_t now_ns = telemetry_.now_ns();
    RowCollector collector{keeps ? queries_.entry_bytes_max() : 0};
    std::vector<tenon_value> columns;
    while (statement->step()) {
        columns.resize(statement->column_count());  // a changed view has other columns from now on
        for (std::uint32_t i = 0; i < columns.size(); ++i) {
            columns[i] = statement->column(i);
        }
        if (keeps) {
            collector.add(columns);
        }
        const auto count = static_cast<std::uint32_t>(columns.size());
        const tenon_status status = row(ctx, columns.data(), count);
        if (status != TENON_OK) {
            return status;
        }
    }
    // A schema that changed meanwhile may have brought tables whose counters were not read.
    const bool same_tables = statement->use().read() == tables && statement->use().is_repeatable();
    connection->finish_current();
    reads_.fetch_add(1, std::memory_order_relaxed);
    Telemetry::count(telemetry_.transactions);
    if (keeps && same_tables) {
        queries_.insert(std::move(*key), std::move(before), collector.take(), now_ns);
    }
    return TENON_OK;
}

std::string Database::statements() const {
    if (settings_.statements_max == 0) {
        throw Error{TENON_UNSUPPORTED, "statements_max is 0: statements are not captured"};
    }
    return statements_.to_json();
}

void Database::publish_queries() const {
    const QueryCache::Figures now = queries_.figures();
    const auto set = [](std::uint64_t* cell, std::uint64_t value) {
        if (cell != nullptr) {
            __atomic_store_n(cell, value, __ATOMIC_RELAXED);
        }
    };
    set(telemetry_.query_hits, now.hits);
    set(telemetry_.query_misses, now.misses);
    set(telemetry_.query_evictions, now.evictions);
}

// Copies of an earlier process that had no time to remove them.
void Database::remove_old_clones() const noexcept {
    if (settings_.file.find(k_clone_mark) != std::string::npos) {
        return;
    }
    (void)guard(nullptr, [&] {
        const std::filesystem::path file{settings_.file};
        const std::string prefix = file.filename().string() + std::string{k_clone_mark};
        std::error_code ignored;
        for (const auto& entry : std::filesystem::directory_iterator{file.parent_path(), ignored}) {
            const std::string name = entry.path().filename().string();
            if (name.substr(0, prefix.size()) == prefix &&
                is_clone_ending(std::string_view{name}.substr(prefix.size())) &&
                ::unlink(entry.path().c_str()) == 0) {
                telemetry_.log.info("database_clone_removed", {{"file", entry.path().string()}});
            }
        }
    });
}

tenon_iface Database::clone(bool with_rows, std::int64_t deadline_ns) {
    std::uint64_t number = 0;
    {
        const std::lock_guard lock{clones_mutex_};
        if (clones_closed_) {
            throw DatabaseError{TENON_UNAVAILABLE, "the database is stopping", Failure::permanent};
        }
        if (clones_.size() + clones_begun_ >= k_clones_max) {
            throw DatabaseError{
                TENON_UNAVAILABLE,
                "there are " + std::to_string(k_clones_max) + " copies for trials already",
                Failure::retry_now};
        }
        ++clones_begun_;
        number = ++clones_made_;
    }
    Settings settings = settings_;
    settings.file += std::string{k_clone_mark} + std::to_string(number);
    settings.pool_size = 2;
    settings.synchronous = "normal";  // gone after a crash anyway
    settings.query_cache_mb = 0;
    settings.slow_query_ms = 0;
    settings.capture = {};
    settings.source.clear();
    Telemetry telemetry;  // its figures are not the database's, and trials are not logged
    telemetry.clock = telemetry_.clock;
    std::unique_ptr<DatabaseHolder> copy;
    try {
        if (with_rows) {
            const Borrowed source{*this, TENON_INTENT_READ, deadline_ns};
            require_room(settings_.file, 2 * source->pin_snapshot());
            source->copy_to(settings.file, k_copy_pages, deadline_ns);
        }
        copy = std::make_unique<DatabaseHolder>();
        copy->database = std::make_unique<Database>(settings, telemetry);
        if (!with_rows) {
            copy_schema(*copy->database, deadline_ns);
        }
    } catch (...) {
        copy.reset();
        remove_database(settings.file);
        const std::lock_guard lock{clones_mutex_};
        --clones_begun_;
        throw;
    }
    std::unique_lock lock{clones_mutex_};
    if (clones_closed_) {
        lock.unlock();
        copy.reset();
        remove_database(settings.file);
        lock.lock();
        --clones_begun_;
        throw DatabaseError{TENON_UNAVAILABLE, "the database is stopping", Failure::permanent};
    }
    --clones_begun_;
    clones_.push_back(std::move(copy));
    return {clones_.back().get(), &storage_table()};
}

// The statements that made it, in their order, and what ANALYZE found.
void Database::copy_schema(Database& to, std::int64_t deadline_ns) {
    std::vector<std::string> made;
    std::vector<std::array<std::string, 3>> found;
    {
        const Borrowed source{*this, TENON_INTENT_READ, deadline_ns};
        source->begin();
        const auto text = [](const Prepared& statement, std::uint32_t column) {
            const tenon_value value = statement.column(column);
            return value.kind == TENON_VALUE_TEXT ? std::string{view(value.b)} : std::string{};
        };
        Prepared& schema = source->prepare(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' "
            "ESCAPE '\\' AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = "
            "'shadow') ORDER BY rowid"
        );
        while (schema.step()) {
            made.push_back(text(schema, 0));
        }
        Prepared& has = source->prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'");
        if (has.step()) {
            Prepared& stat = source->prepare("SELECT tbl, idx, stat FROM sqlite_stat1");
            while (stat.step()) {
                found.push_back({text(stat, 0), text(stat, 1), text(stat, 2)});
            }
        }
        source->commit();
    }
    const Borrowed target{to, TENON_INTENT_WRITE, deadline_ns};
    target->begin();
    for (const std::string& sql : made) {
        target->execute(sql);
    }
    target->execute("ANALYZE sqlite_schema");
    for (const auto& row : found) {
        Prepared& insert =
            target->prepare("INSERT INTO sqlite_stat1(tbl, idx, stat) VALUES (?, ?, ?)");
        for (std::uint32_t i = 0; i < row.size(); ++i) {
            tenon_value value{};
            value.kind = row[i].empty() ? TENON_VALUE_NULL : TENON_VALUE_TEXT;
            value.b = bytes(row[i]);
            insert.bind(i + 1, value);
        }
        (void)insert.step();
    }
    target->commit();
    target->execute("ANALYZE sqlite_schema");  // takes the rows in
}

void Database::drop_clone(const void* self) noexcept {
    std::unique_ptr<DatabaseHolder> gone;
    {
        const std::lock_guard lock{clones_mutex_};
        const auto at = std::find_if(clones_.begin(), clones_.end(), [&](const auto& clone) {
            return clone.get() == self;
        });
        if (at == clones_.end()) {
            return;
        }
        gone = std::move(*at);
        clones_.erase(at);
    }
    const std::string file = gone->database->settings_.file;
    if (gone->database->stop() != 0) {
        keep_for_good(std::move(gone));
    }
    gone.reset();
    remove_database(file);
}

// At the stop: whoever has not dropped a copy yet may be inside of it.
std::size_t Database::end_clones() noexcept {
    std::vector<std::unique_ptr<DatabaseHolder>> used;
    std::size_t begun = 0;
    {
        const std::lock_guard lock{clones_mutex_};
        clones_closed_ = true;
        used.swap(clones_);
        begun = clones_begun_;
    }
    for (auto& clone : used) {
        const std::string file = clone->database->settings_.file;
        (void)clone->database->stop();
        keep_for_good(std::move(clone));
        remove_database(file);
    }
    return begun;
}

}  // namespace tenon::sqlite
