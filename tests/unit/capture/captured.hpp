// SPDX-License-Identifier: Apache-2.0
// A database whose commits are captured, and an oracle beside it: the state after each commit.
#pragma once

#include "sdk/capture/folder.hpp"
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>
#include <sqlite3.h>

#include <map>
#include <thread>

namespace tenon::test {

// Everything that is in the tables, in one text.
[[nodiscard]] inline std::string content_of(const std::string& file) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr) == SQLITE_OK);
    std::string text;
    const auto append = [](void* to, int columns, char** values, char**) {
        for (int i = 0; i < columns; ++i) {
            static_cast<std::string*>(to)
                ->append(values[i] == nullptr ? "-" : values[i])
                .append(",");
        }
        return 0;
    };
    for (const char* sql : {"PRAGMA integrity_check", "SELECT id, x FROM t ORDER BY id"}) {
        CAPTURE(file, sqlite3_errmsg(db));
        REQUIRE(sqlite3_exec(db, sql, append, &text, nullptr) == SQLITE_OK);
    }
    sqlite3_close(db);
    return text;
}

class Captured {
public:
    using Tweak = SqliteBackend::Tweak;

    explicit Captured(const Tweak& tweak = {}, std::string folder = {})
        : backend{[&](sqlite::Settings& s) {
              s.capture.folder =
                  folder.empty() ? s.file.substr(0, s.file.rfind('/')) + "/captured" : folder;
              s.page_size = 1024;
              s.wal_checkpoint_mb = 1;
              if (tweak) {
                  tweak(s);
              }
          }} {
        write([](Session& s) {
            s.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x TEXT) STRICT");
        });
    }

    template <class Body>
    std::uint64_t write(Body&& body) {
        tenon_transaction_options options{};
        options.size = sizeof options;
        options.intent = TENON_INTENT_WRITE;
        options.deadline_ns = backend.deadline();
        const std::string at = backend.storage().transact(options, body);
        return at.empty() ? 0 : std::stoull(at);
    }

    std::uint64_t put(std::int64_t id, const std::string& text) {
        return write([&](Session& s) {
            s.prepare("INSERT OR REPLACE INTO t VALUES (?, ?)").bind_all(id, text).run();
        });
    }

    [[nodiscard]] const std::string& captures() const { return backend.settings.capture.folder; }

    // A base is there; made by a thread that the writer starts when it has nothing to do.
    void wait_for_base(std::size_t bases = 1) {
        const auto patience = backend.deadline();
        while (capture::list(captures()).bases.size() < bases) {
            REQUIRE(backend.host.reactor().now_ns() < patience);
            std::this_thread::yield();
        }
    }

    // The content after a commit.
    [[nodiscard]] std::string restored(std::uint64_t txid) {
        const std::string file =
            (backend.folder.path() / ("restored-" + std::to_string(++restores_))).string();
        (void)capture::restore(captures(), {txid, 0}, file, {});
        return content_of(file);
    }

    SqliteBackend backend;

private:
    int restores_ = 0;
};

}  // namespace tenon::test
