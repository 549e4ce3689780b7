// SPDX-License-Identifier: Apache-2.0
// Takes rows of a foreign database over, by a mapping.
//
// Rows go in batches, each a transaction of the target with the rows, where each came from, and how
// far the table is: a run that ends anywhere, also by kill -9, is gone on with by the next, and no
// row is written twice. A row that is there already is left as it is. The source is only read.
//
// Not thread-safe but for progress(); every function blocks. Failures throw StorageError or Error
// and leave what was committed.
#pragma once

#include "plugins/migrations/import/journal.hpp"
#include "plugins/migrations/import/source.hpp"

#include <tenon/plugin.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_set>

namespace tenon::importer {

struct ImportOptions {
    std::size_t batch_rows = 500;
    std::size_t bad_rows_kept = 10'000;  // told by name; more are only counted
    std::size_t differences_kept = 100;
    std::int64_t timeout_ns = 60'000'000'000;  // for a connection, and for what is tried again
    // Called between parts of the work with the point's name; what it throws ends the run there.
    std::function<void(std::string_view)> at;
};

enum class Phase : std::uint8_t { ready, checking, importing, verifying, done };

[[nodiscard]] std::string_view name_of(Phase phase) noexcept;

struct TableProgress {
    std::string name, target;
    std::int64_t total = 0;     // rows of the source
    std::int64_t read = 0;      // of them, in this pass
    std::int64_t imported = 0;  // written; in a dry run: would be
    std::int64_t present = 0;   // there already
    std::int64_t changed = 0;   // there already, from other values than the source has now
    std::int64_t bad = 0;
};

struct BadRowFound {
    std::string table, key, reason;
};

struct ImportProgress {
    Phase phase = Phase::ready;
    bool is_refused = false;  // bad rows, and the mapping says stop: nothing was written
    std::vector<TableProgress> tables;
    std::vector<BadRowFound> bad_rows;
    std::vector<std::string> differences;  // "orders [12]: price differs"
    std::int64_t different = 0;

    [[nodiscard]] std::int64_t bad() const;
};

class Importer {
public:
    // `mapping` has been parsed without problems.
    Importer(
        Storage target,
        Service<tenon_clock_1> clock,
        std::unique_ptr<Source> source,
        Mapping mapping,
        ImportOptions options
    );

    // What of the mapping does not fit the two databases, all of it. Changes nothing.
    [[nodiscard]] manifest::Problems check();

    // The rest asks for check() without problems before.

    // Reads and converts all rows, writes none.
    void dry_run();
    // With bad rows and `stop`: as dry_run, and refused. Else imports what is not there yet.
    void run();
    // Compares each row of the source with the row that came from it.
    void verify();

    // Lets go of the source: nothing but progress() is asked for after it.
    void close() noexcept { source_.reset(); }

    [[nodiscard]] ImportProgress progress() const;

private:
    struct Item {
        std::string key;
        std::optional<BuiltRow> row;
        std::string reason;  // why there is no row
    };

    using Items = std::span<Item>;

    [[nodiscard]] std::int64_t deadline() const;
    [[nodiscard]] std::int64_t now_real_ns() const;
    void at(std::string_view point) const;
    void check_table(const TableMap& table, manifest::Report& report);
    void begin_pass(Phase phase);
    void change(const std::function<void(ImportProgress&)>& how);
    void tell_bad(std::size_t table, const std::string& key, const std::string& reason);
    void tell_difference(std::string text);
    // The next rows after the key, which moves on; none at the end.
    [[nodiscard]] std::vector<Item> next_page(RowBuilder& builder, SourceRow& after);
    [[nodiscard]] bool is_referred_to(const std::string& table) const;
    void check_rows();
    void check_rows_of(std::size_t table);
    void check_item(const TableMap& map, Item& item, std::unordered_set<std::size_t>& unique);
    void open();
    void import_table(std::size_t table);
    void renew_statistics();
    // Writes a batch, or parts of it where the database refuses a row.
    void write(std::size_t table, Items items, TableState& state);
    void write_once(std::size_t table, Items items, TableState& state);
    void resolve(Session& session, const TableMap& table, Items items) const;
    void insert(Session& session, const TableMap& table, std::span<const BuiltRow* const> rows);
    void verify_table(std::size_t table);
    // How many of the rows have been imported; what is wrong with them is added.
    [[nodiscard]] std::int64_t verify_page(
        Session& session,
        std::size_t table,
        Items items,
        std::vector<std::string>& differences
    );

    Storage target_;
    Service<tenon_clock_1> clock_;
    std::unique_ptr<Source> source_;
    Mapping mapping_;
    ImportOptions options_;
    bool is_postgres_;
    Journal journal_;
    std::int64_t batches_ = 0;  // written by this run
    std::int64_t statistics_due_ = 1;
    Lookups lookups_;
    std::map<std::string, std::unordered_set<std::size_t>> accepted_;  // hashes of keys, by table
    mutable std::mutex mutex_;
    ImportProgress progress_;
};

}  // namespace tenon::importer
