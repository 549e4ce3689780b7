// SPDX-License-Identifier: Apache-2.0
// A captured SQLite database with a follower, as one backend of the contract suite: what writes
// goes to the database, what reads to the follower, which has applied every write that was
// acknowledged. Included before the suite's sources, which then run over it.
#pragma once

#include "tests/support/fake_host.hpp"

namespace tenon::test {
class FollowedBackend;
}  // namespace tenon::test

#define TENON_STORAGE_BACKENDS tenon::test::FollowedBackend
#include "tests/unit/storage/backend.hpp"

#include <thread>

namespace tenon::test {

class FollowedBackend {
public:
    static constexpr const char* k_blob = "BLOB";
    static constexpr bool k_one_writer = true;

    FollowedBackend()
        : database{[](sqlite::Settings& s) {
              s.capture.folder = s.file.substr(0, s.file.rfind('/')) + "/captured";
              s.statement_cache = 32;
          }},
          follower{[this](sqlite::Settings& s) {
              s.source = database.settings.capture.folder;
              s.statement_cache = 32;
          }},
          settings{follower.settings} {
        follow();
    }

    void open() {
        database.open();
        follower.open();
        follow();
    }

    [[nodiscard]] Storage storage() { return Storage{Service<tenon_storage_1>{this, &table()}}; }

    [[nodiscard]] std::int64_t deadline(std::int64_t in_ns = k_patience_ns) {
        return database.deadline(in_ns);
    }

    SqliteBackend database;
    SqliteBackend follower;
    sqlite::Settings& settings;  // of what is read from

private:
    static const tenon_storage_1& table() {
        static const tenon_storage_1 made = [] {
            tenon_storage_1 t = sqlite::storage_table();
            t.transact = [](void* self,
                            std::uint32_t intent,
                            std::int64_t deadline_ns,
                            tenon_transaction_fn fn,
                            void* ctx,
                            tenon_err* err) noexcept {
                auto options = sized<tenon_transaction_options>();
                options.intent = intent;
                options.deadline_ns = deadline_ns;
                return of(self).run(options, fn, ctx, {}, err);
            };
            t.transact_with = [](void* self,
                                 const tenon_transaction_options* options,
                                 tenon_transaction_fn fn,
                                 void* ctx,
                                 tenon_sink position,
                                 tenon_err* err) noexcept {
                return of(self).run(*options, fn, ctx, position, err);
            };
            t.lease = [](void* self,
                         std::uint32_t intent,
                         std::int64_t deadline_ns,
                         tenon_session** out,
                         tenon_err* err) noexcept {
                auto& holder = intent == TENON_INTENT_WRITE ? of(self).database.holder
                                                            : of(self).follower.holder;
                return sqlite::storage_table().lease(&holder, intent, deadline_ns, out, err);
            };
            t.release = [](void* self, tenon_session* session) noexcept {
                const bool wrote =
                    reinterpret_cast<sqlite::Connection*>(session)->role() == sqlite::Role::writer;
                auto& holder = wrote ? of(self).database.holder : of(self).follower.holder;
                sqlite::storage_table().release(&holder, session);
                if (wrote) {
                    of(self).follow();
                }
            };
            t.stats = [](void* self, tenon_storage_stats* out) noexcept {
                auto written = sized<tenon_storage_stats>();
                (void)sqlite::storage_table().stats(&of(self).database.holder, &written);
                const tenon_status status =
                    sqlite::storage_table().stats(&of(self).follower.holder, out);
                out->transactions += written.transactions;
                out->group_commits += written.group_commits;
                out->waiting += written.waiting;
                return status;
            };
            return t;
        }();
        return made;
    }

    static FollowedBackend& of(void* self) noexcept { return *static_cast<FollowedBackend*>(self); }

    tenon_status run(
        const tenon_transaction_options& options,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_sink position,
        tenon_err* err
    ) noexcept {
        if (options.intent != TENON_INTENT_WRITE) {
            return sqlite::storage_table().transact_with(
                &follower.holder, &options, fn, ctx, position, err
            );
        }
        StringSink place;
        const tenon_status status = sqlite::storage_table().transact_with(
            &database.holder, &options, fn, ctx, place.sink(), err
        );
        if (status == TENON_OK) {
            wait_for(place.text());
            if (position.put != nullptr) {
                (void)position.put(position.ctx, bytes(place.text()));
            }
        }
        return status;
    }

    // The follower has everything that was written until now.
    void follow() noexcept {
        auto options = sized<tenon_transaction_options>();
        options.intent = TENON_INTENT_WRITE;
        options.deadline_ns = deadline();
        StringSink place;
        const auto nothing = [](void*, tenon_session*, tenon_err*) noexcept -> tenon_status {
            return TENON_OK;
        };
        (void)sqlite::storage_table().transact_with(
            &database.holder, &options, nothing, nullptr, place.sink(), nullptr
        );
        wait_for(place.text());
    }

    // Before its first base a follower answers at once that it holds nothing.
    void wait_for(const std::string& place) noexcept {
        auto options = sized<tenon_transaction_options>();
        options.intent = TENON_INTENT_READ;
        options.deadline_ns = deadline();
        options.after = str(place);
        const auto nothing = [](void*, tenon_session*, tenon_err*) noexcept -> tenon_status {
            return TENON_OK;
        };
        while (sqlite::storage_table().transact_with(
                   &follower.holder, &options, nothing, nullptr, {}, nullptr
               ) != TENON_OK &&
               deadline(0) < options.deadline_ns) {
            std::this_thread::yield();
        }
    }
};

}  // namespace tenon::test
