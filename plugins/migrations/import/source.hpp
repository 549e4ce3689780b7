// SPDX-License-Identifier: Apache-2.0
// The database that is taken over. Only ever read, and as it was when reading began: one
// transaction for the life of the object.
//
// Not thread-safe. Everything blocks, and throws Error or StorageError.
#pragma once

#include "plugins/migrations/import/mapping.hpp"

#include <tenon/storage.hpp>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::importer {

class Source {
public:
    Source() = default;
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    // What messages and provenance call it.
    [[nodiscard]] virtual std::string name() const = 0;

    [[nodiscard]] std::vector<std::string> columns(const TableMap& table);
    [[nodiscard]] std::int64_t rows(const TableMap& table);
    // A key that two rows have, or that holds NULL; "" when there is none.
    [[nodiscard]] std::string bad_key(const TableMap& table);
    // The next rows after the key, by key: values of `columns`.
    [[nodiscard]] std::vector<SourceRow> page(
        const TableMap& table,
        const std::vector<std::string>& columns,
        const SourceRow& after,
        std::size_t limit
    );

protected:
    // Gets each row; nothing for the columns alone.
    using RowFn = std::function<void(const SourceRow&)>;

    virtual void run(
        const std::string& sql,
        const SourceRow& values,
        std::vector<std::string>* names,
        const RowFn& row
    ) = 0;
};

// A SQLite file, opened read-only. Writers of a database in WAL mode do not wait for it; those of
// another do.
// `stops` is asked now and then while a statement runs; true interrupts it.
[[nodiscard]] std::unique_ptr<Source>
open_sqlite(const std::string& file, std::function<bool()> stops = {});

// A storage of the deployment.
[[nodiscard]] std::unique_ptr<Source>
open_storage(const Storage& storage, const std::string& name, std::int64_t deadline_ns);

[[nodiscard]] std::string quoted(std::string_view name);

}  // namespace tenon::importer
