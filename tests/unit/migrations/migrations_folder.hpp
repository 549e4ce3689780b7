// SPDX-License-Identifier: Apache-2.0
// A folder of migrations made by a test, with its chain.
#pragma once

#include "plugins/migrations/sql/migration_files.hpp"
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

    [[nodiscard]] std::vector<migrations::Migration> load() const {
        return migrations::load_migrations(path(), "sqlite");
    }

private:
    TemporaryFolder folder_;
    std::map<std::string, std::string> files_;
};

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
