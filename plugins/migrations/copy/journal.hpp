// SPDX-License-Identifier: Apache-2.0
// How far a copy has come, kept in the target in the transaction of the rows themselves; and what
// the target does without while it is filled.
#pragma once

#include "plugins/migrations/copy/model.hpp"
#include "plugins/migrations/copy/work.hpp"

#include <optional>

namespace tenon::copy {

enum class Phase : std::uint8_t {
    preparing,  // the source is not yet captured
    copying,
    closing,   // the source is being fenced
    finished,  // the target goes on alone
};

[[nodiscard]] std::string_view name_of(Phase phase) noexcept;

struct TableProgress {
    std::int64_t rows_total = 0;  // counted at the start
    std::int64_t rows_copied = 0;
    bool done = false;
    Key cursor;  // the last key that is here; empty: none
};

struct Progress {
    std::string copy_id;
    std::string owner;  // of the run that may go on
    Phase phase = Phase::preparing;
    std::int64_t begun_real_ns = 0;
    std::int64_t changes = 0;  // applied
    std::vector<TableProgress> tables;

    [[nodiscard]] std::size_t tables_done() const;
};

class Journal {
public:
    Journal(const Side& target, const std::vector<Table>& tables)
        : target_{target}, tables_{tables} {}

    // Nothing when the target is not a copy. Throws Error TENON_CORRUPT when the tables differ.
    [[nodiscard]] std::optional<Progress> read(Session& session) const;
    void create(Session& session, const Progress& progress) const;
    void write(Session& session, const Progress& progress) const;
    void write_table(Session& session, const Progress& progress, std::size_t table) const;
    void remove(Session& session) const;

    // Rows of the target as statements that make them anew, parents first, before they are erased.
    void keep_seeds(Session& session, std::size_t rows_max) const;
    void restore_seeds(Session& session) const;

    // Takes foreign keys and triggers away that would be in the way, and keeps how to make them
    // anew.
    void unbind_tables(Session& session) const;
    // Makes them anew; a row that breaks a foreign key fails it.
    void bind_tables(Session& session) const;
    // New rows get numbers above those that are there.
    void set_identities(Session& session) const;

private:
    void unbind_sqlite(Session& session) const;
    void unbind_postgres(Session& session) const;
    void keep(Session& session, const std::string& sql) const;

    const Side& target_;
    const std::vector<Table>& tables_;
};

}  // namespace tenon::copy
