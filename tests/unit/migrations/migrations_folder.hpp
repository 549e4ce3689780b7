// SPDX-License-Identifier: Apache-2.0
// A folder of migrations made by a test, with its chain.
#pragma once

#include "plugins/migrations/sql/migrator.hpp"
#include "tests/unit/storage/backend.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace tenon::test {

class MigrationsFolder {
public:
    void put(const std::string& name, const std::string& text) {
        std::ofstream{folder_.path() / name, std::ios::binary} << text;
        files_[name] = text;
    }

    void put_pair(const std::string& stem, const std::string& up, const std::string& down) {
        put(stem + ".up.sql", up);
        put(stem + ".down.sql", down);
    }

    void remove(const std::string& name) {
        std::filesystem::remove(folder_.path() / name);
        files_.erase(name);
    }

    // As tools/migrations-chain does.
    void write_chain() {
        std::ofstream out{folder_.path() / "chain.sums", std::ios::binary};
        std::string previous(64, '0');
        for (const auto& [name, text] : files_) {
            previous =
                migrations::sha256_hex(previous + " " + name + " " + migrations::sha256_hex(text));
            out << previous << "  " << name << "\n";
        }
    }

    [[nodiscard]] std::string path() const { return folder_.path().string(); }

    [[nodiscard]] std::vector<migrations::Migration> load(const std::string& dialect = "sqlite")
        const {
        return migrations::load_migrations(path(), dialect);
    }

private:
    TemporaryFolder folder_;
    std::map<std::string, std::string> files_;
};

template <class Backend>
std::unique_ptr<migrations::Migrator> make_migrator(
    Backend& backend,
    std::vector<migrations::Migration> migrations,
    migrations::MigratorOptions options = {}
) {
    const Host host{backend.host.raw()};
    options.writer = {"1.2.3", "here"};
    return std::make_unique<migrations::Migrator>(
        backend.storage(),
        host.service<tenon_clock_1>("tenon.clock/1"),
        host.log(),
        std::move(migrations),
        std::move(options)
    );
}

template <class Backend>
migrations::SchemaObjects schema_of(Backend& backend) {
    migrations::SchemaObjects objects;
    const Storage storage = backend.storage();
    storage.read(backend.deadline(), [&](Session& session) {
        objects = migrations::read_schema(session, migrations::dialect_of(storage.dialect()));
    });
    return objects;
}

template <class Backend>
std::int64_t scalar(Backend& backend, std::string_view sql) {
    std::int64_t value = -1;
    backend.storage().read(backend.deadline(), [&](Session& session) {
        for (Statement row = session.prepare(sql); row.step();) {
            value = row.integer(0);
        }
    });
    return value;
}

// Three small migrations; the second's way back destroys data.
inline void put_three(MigrationsFolder& folder) {
    folder.put_pair("0001_one", "CREATE TABLE one (id INTEGER);\n", "DROP TABLE one;\n");
    folder.put_pair(
        "0002_two",
        "-- tenon: phase=expand\nCREATE TABLE two (id INTEGER);\nINSERT INTO one VALUES (2);\n",
        "-- tenon: destructive=true\nDROP TABLE two;\nDELETE FROM one;\n"
    );
    folder.put_pair("0003_three", "CREATE TABLE three (id INTEGER);\n", "DROP TABLE three;\n");
    folder.write_chain();
}

}  // namespace tenon::test
