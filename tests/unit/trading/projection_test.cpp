// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/projection.hpp"

#include "plugins/migrations/sql/migrator.hpp"
#include "tests/unit/storage/backend.hpp"
#include "tests/unit/trading/projection_events.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <thread>

using tenon::Session;
using tenon::engine::Projection;
using tenon::engine::ProjectionOptions;
using tenon::test::k_patience_ns;
using tenon::test::ProjectionEvents;
using tenon::test::SqliteBackend;

namespace {

// A storage that fails as asked: before the work, after it (rolled back), or after the commit, so
// that the caller does not learn of it.
class FaultyStorage {
public:
    explicit FaultyStorage(tenon::Service<tenon_storage_1> inner)
        : inner_{inner}, table_{*inner.table} {
        table_.transact = &FaultyStorage::transact;
    }

    [[nodiscard]] tenon::Service<tenon_storage_1> service() { return {this, &table_}; }

    std::atomic<bool> down{false};
    std::atomic<unsigned> one_in{0};  // 0: no faults
    std::mt19937 random{1};

private:
    struct Call {
        tenon_transaction_fn fn;
        void* ctx;
    };

    static tenon_status transact(
        void* self,
        std::uint32_t intent,
        std::int64_t deadline_ns,
        tenon_transaction_fn fn,
        void* ctx,
        tenon_err* err
    ) noexcept {
        auto& mine = *static_cast<FaultyStorage*>(self);
        const auto& inner = mine.inner_;
        const bool write = intent == TENON_INTENT_WRITE;
        const unsigned one_in = mine.one_in;
        const bool fault = write && one_in != 0 && mine.random() % one_in == 0;
        const auto kind = fault ? mine.random() % 3 : 3;
        if (mine.down || kind == 0) {
            return tenon::fail(err, TENON_UNAVAILABLE, "injected: down", TENON_ERR_RETRYABLE);
        }
        if (kind == 1) {
            Call call{fn, ctx};
            const auto failing = [](void* c, tenon_session* session, tenon_err* e) noexcept {
                const auto& inside = *static_cast<Call*>(c);
                (void)inside.fn(inside.ctx, session, e);
                return tenon::fail(e, TENON_UNAVAILABLE, "injected: rolled back");
            };
            return inner->transact(inner.self, intent, deadline_ns, failing, &call, err);
        }
        const auto status = inner->transact(inner.self, intent, deadline_ns, fn, ctx, err);
        return kind == 2 && status == TENON_OK
                   ? tenon::fail(err, TENON_IN_DOUBT, "injected: lost after the commit")
                   : status;
    }

    // The rest of the table works on the inner storage's own sessions.
    tenon::Service<tenon_storage_1> inner_;
    tenon_storage_1 table_;
};

struct Bench {
    Bench() {
        const char* source = std::getenv("TENON_SOURCE_DIR");
        REQUIRE(source != nullptr);
        const tenon::Host host{backend.host.raw()};
        tenon::migrations::Migrator{
            backend.storage(),
            host.service<tenon_clock_1>("tenon.clock/1"),
            host.log(),
            tenon::migrations::load_migrations(std::string{source} + "/migrations", "sqlite"),
            {}}
            .up();
        options.retry_first_ns = 1'000'000;
        options.retry_max_ns = 2'000'000;
    }

    std::unique_ptr<Projection> open() {
        const tenon::Host host{backend.host.raw()};
        return std::make_unique<Projection>(
            faulty.service(),
            backend.host.exec(),
            host.service<tenon_clock_1>("tenon.clock/1"),
            host.log(),
            options
        );
    }

    // Gives the events of commands first .. last in calls of whole commands.
    void feed(Projection& projection, std::size_t first, std::size_t last) {
        tenon::call_on_reactor(backend.host.exec(), 0, [&] {
            for (std::size_t i = first; i < last; ++i) {
                REQUIRE(projection.enqueue(events.command(i)));
            }
        });
    }

    bool wait_for(Projection& projection, std::uint64_t sequence) {
        const auto patience = backend.deadline();
        while (projection.projected_sequence() < sequence) {
            if (backend.host.reactor().now_ns() > patience) {
                UNSCOPED_INFO(projection.state().reason);
                return false;
            }
            std::this_thread::yield();
        }
        return true;
    }

    std::int64_t scalar(std::string_view sql) {
        std::int64_t value = -1;
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto q = s.prepare(sql);
            REQUIRE(q.step());
            value = q.integer(0);
        });
        return value;
    }

    // Everything that the projection writes, as text.
    std::string dump() {
        std::string all;
        backend.storage().read(backend.deadline(), [&](Session& s) {
            for (const char* table :
                 {"accounts",
                  "instruments",
                  "assets",
                  "api_credentials",
                  "orders",
                  "order_lists",
                  "order_list_orders",
                  "order_amendments",
                  "prevented_matches",
                  "trades",
                  "balances",
                  "ledger_entries"}) {
                auto q = s.prepare("SELECT * FROM " + std::string{table} + " ORDER BY 1, 2, 3");
                while (q.step()) {
                    all.append(table);
                    for (std::uint32_t i = 0; i < q.column_count(); ++i) {
                        const tenon_value v = q.value(i);
                        all.append("|").append(
                            v.kind == TENON_VALUE_INT64  ? std::to_string(v.i)
                            : v.kind == TENON_VALUE_NULL ? std::string{"null"}
                                                         : std::string{tenon::view(v.b)}
                        );
                    }
                    all.append("\n");
                }
            }
        });
        return all;
    }

    SqliteBackend backend;
    FaultyStorage faulty{backend.storage().service()};
    ProjectionOptions options;
    ProjectionEvents events{Catch::rngSeed(), 600};
};

}  // namespace

TEST_CASE("events arrive in the tables, and a second time change nothing", "[projection][T5]") {
    Bench bench;
    auto projection = bench.open();
    CHECK(projection->load_offset() == 0);
    bench.feed(*projection, 0, bench.events.size());
    REQUIRE(bench.wait_for(*projection, bench.events.last_sequence()));
    CHECK(projection->state().database_up);
    CHECK(projection->state().queued == 0);
    const std::string first = bench.dump();
    CHECK(first == bench.events.expected_dump());
    bench.feed(*projection, 0, bench.events.size());
    projection->stop(bench.backend.deadline());
    CHECK(bench.dump() == first);

    auto again = bench.open();
    CHECK(again->load_offset() == bench.events.last_sequence());
}

TEST_CASE("killed and failing at random points, every event is there once", "[projection][T5]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    Bench bench;
    bench.faulty.one_in = 3;
    bench.faulty.random.seed(seed);
    bench.options.batch_max = 20;
    std::mt19937 random{seed};
    std::uint64_t reached = 0;
    int lives = 0;
    while (reached < bench.events.last_sequence()) {
        ++lives;
        auto projection = bench.open();
        const std::uint64_t offset = projection->load_offset();
        REQUIRE(offset >= reached);
        // The journal gives again from somewhere at or before the offset.
        std::size_t first = bench.events.index_after(offset);
        first -= std::min<std::size_t>(first, random() % 10);
        const std::size_t last = std::min(bench.events.size(), first + 20 + random() % 80);
        bench.feed(*projection, first, last);
        if (random() % 2 == 0) {
            REQUIRE(bench.wait_for(*projection, bench.events.sequence(last - 1)));
        }
        projection->stop(0);  // at once, whatever it is doing
        reached = projection->projected_sequence();
    }
    INFO(lives << " lives");
    CHECK(bench.dump() == bench.events.expected_dump());
}

TEST_CASE("while the database is down events wait, bounded, and then arrive", "[projection][T5]") {
    Bench bench;
    bench.faulty.down = true;
    bench.options.queue_max = 50;
    auto projection = bench.open();
    CHECK_THROWS_AS(projection->load_offset(), tenon::Error);
    std::size_t taken = 0;
    std::size_t events = 0;
    tenon::call_on_reactor(bench.backend.host.exec(), 0, [&] {
        while (projection->enqueue(bench.events.command(taken))) {
            events += bench.events.command(taken).size();
            ++taken;
        }
    });
    CHECK(events > 30);
    CHECK(events <= 50);
    const auto patience = bench.backend.deadline();
    while (projection->state().failures < 3 && bench.backend.host.reactor().now_ns() < patience) {
        std::this_thread::yield();
    }
    CHECK(projection->state().failures >= 3);
    CHECK_FALSE(projection->state().database_up);
    CHECK_THAT(projection->state().reason, Catch::Contains("injected: down"));
    CHECK(projection->state().queued == events);
    bench.faulty.down = false;
    REQUIRE(bench.wait_for(*projection, bench.events.sequence(taken - 1)));
    CHECK(projection->state().reason.empty());
    bench.feed(*projection, taken, taken + 5);
    REQUIRE(bench.wait_for(*projection, bench.events.sequence(taken + 4)));
}

TEST_CASE("events wait for others while a running projection gathers", "[projection][K8]") {
    Bench bench;
    bench.options.batch_interval_ns = 3'600'000'000'000;
    auto projection = bench.open();
    REQUIRE(projection->load_offset() == 0);
    const auto gather = [&](bool on) {
        tenon::call_on_reactor(bench.backend.host.exec(), 0, [&] { projection->gather(on); });
    };
    bench.feed(*projection, 0, 5);
    CHECK(projection->state().queued > 0);
    gather(false);  // those that wait do not go on waiting
    REQUIRE(bench.wait_for(*projection, bench.events.sequence(4)));
    bench.feed(*projection, 5, 10);
    REQUIRE(bench.wait_for(*projection, bench.events.sequence(9)));
    gather(true);
    const std::uint64_t batches = projection->state().batches;
    bench.feed(*projection, 10, 15);
    bench.feed(*projection, 15, 20);
    CHECK(projection->state().queued > 0);
    projection->stop(bench.backend.deadline());
    CHECK(projection->state().batches == batches + 1);
    CHECK(projection->state().queued == 0);
}

TEST_CASE("stopping writes what is queued when it can", "[projection][T5]") {
    Bench bench;
    bench.faulty.down = true;
    bench.options.retry_first_ns = k_patience_ns;  // no retry of its own in this test
    bench.options.retry_max_ns = k_patience_ns;
    auto projection = bench.open();
    bench.feed(*projection, 0, 100);
    const auto patience = bench.backend.deadline();
    while (projection->state().failures < 1 && bench.backend.host.reactor().now_ns() < patience) {
        std::this_thread::yield();
    }
    bench.faulty.down = false;
    projection->stop(bench.backend.deadline());
    CHECK(projection->projected_sequence() == bench.events.sequence(99));
}

TEST_CASE(
    "an older database in place of the one it knows is told, not written",
    "[projection][T5]"
) {
    Bench bench;
    auto projection = bench.open();
    bench.feed(*projection, 0, 100);
    REQUIRE(bench.wait_for(*projection, bench.events.sequence(99)));
    bench.backend.storage().write(bench.backend.deadline(), [](Session& s) {
        s.execute("UPDATE projection_offset SET sequence = 3");
    });
    bench.feed(*projection, 100, 101);
    const auto patience = bench.backend.deadline();
    while (projection->state().failures == 0 && bench.backend.host.reactor().now_ns() < patience) {
        std::this_thread::yield();
    }
    CHECK_THAT(projection->state().reason, Catch::Contains("the database is at command 3"));
    CHECK(bench.scalar("SELECT sequence FROM projection_offset") == 3);
}

TEST_CASE("queries give what the events said", "[projection][T5]") {
    Bench bench;
    auto projection = bench.open();
    bench.feed(*projection, 0, bench.events.size());
    REQUIRE(bench.wait_for(*projection, bench.events.last_sequence()));
    const auto& model = bench.events;
    const std::uint64_t account = TENON_ACCOUNT_FIRST;

    tenon_order_query query{};
    query.size = sizeof query;
    query.which = TENON_ORDERS_ALL;
    query.account = account;
    query.instrument = 0;
    query.limit = 7;
    const auto ids = [](const auto& rows) {
        std::vector<std::uint64_t> result;
        for (const auto& row : rows) {
            result.push_back(row.order_id);
        }
        return result;
    };
    const auto mine = model.order_ids(account, 0);
    REQUIRE(mine.size() > 12);
    CHECK(ids(projection->orders(query)) == std::vector<std::uint64_t>(mine.end() - 7, mine.end()));
    query.from_order_id = mine[3];
    CHECK(
        ids(projection->orders(query)) ==
        std::vector<std::uint64_t>(mine.begin() + 3, mine.begin() + 10)
    );
    query.from_order_id = 0;
    query.start_real_ns = model.order(mine[5]).created_real_ns;
    query.end_real_ns = model.order(mine[8]).created_real_ns;
    CHECK(
        ids(projection->orders(query)) ==
        std::vector<std::uint64_t>(mine.begin() + 5, mine.begin() + 9)
    );
    query = {};
    query.which = TENON_ORDERS_OPEN;
    query.account = account;
    query.instrument = TENON_ANY_INSTRUMENT;
    for (const auto& open : projection->orders(query)) {
        CHECK(open.status <= TENON_STATUS_PARTIALLY_FILLED);
        CHECK(open.account == account);
    }

    auto lists = tenon::sized<tenon_list_query>();
    lists.which = TENON_ORDERS_ALL;
    lists.account = account;
    lists.limit = 1000;
    std::vector<tenon_order_list> expected;
    for (const auto& [id, list] : model.lists()) {
        if (list.account == account) {
            expected.push_back(list);
        }
    }
    REQUIRE(expected.size() > 3);
    const auto same =
        [&](const std::vector<tenon_order_list>& rows, std::size_t first, std::size_t count) {
            REQUIRE(rows.size() == count);
            for (std::size_t i = 0; i < count; ++i) {
                CHECK(std::memcmp(&rows[i], &expected[first + i], sizeof rows[i]) == 0);
            }
        };
    same(projection->lists(lists), 0, expected.size());
    lists.limit = 2;
    same(projection->lists(lists), expected.size() - 2, 2);
    lists.from_list_id = expected[1].list_id;
    same(projection->lists(lists), 1, 2);
    lists.from_list_id = 0;
    lists.client_id = expected[2].client_id;
    same(projection->lists(lists), 2, 1);
    lists.client_id = {};
    lists.list_id = expected[0].list_id;
    same(projection->lists(lists), 0, 1);

    REQUIRE_FALSE(model.prevented().empty());
    const tenon_prevented_match newest = model.prevented().rbegin()->second;
    std::vector<tenon_prevented_match> matches;
    for (const auto& [key, match] : model.prevented()) {
        if (match.account == newest.account && match.instrument == newest.instrument) {
            matches.push_back(match);
        }
    }
    auto prevented = tenon::sized<tenon_prevented_query>();
    prevented.account = newest.account;
    prevented.instrument = newest.instrument;
    prevented.limit = 1000;
    const auto given = [&] { return projection->prevented(prevented); };
    REQUIRE(given().size() == matches.size());
    CHECK(std::memcmp(&given()[0], &matches[0], sizeof matches[0]) == 0);
    prevented.limit = 1;
    CHECK(given()[0].match_id == newest.match_id);
    prevented.from_match_id = matches[0].match_id;
    CHECK(given()[0].match_id == matches[0].match_id);
    prevented.from_match_id = newest.match_id + 1;
    CHECK(given().empty());
    prevented.from_match_id = 0;
    prevented.match_id = matches[0].match_id;
    CHECK(given()[0].match_id == matches[0].match_id);
    prevented.match_id = 0;
    prevented.order_id = newest.maker_order_id;
    CHECK(given()[0].maker_order_id == newest.maker_order_id);
    prevented.order_id = 4'711'000'000;
    CHECK(given().empty());

    auto amendments = tenon::sized<tenon_amendment_query>();
    const tenon_amendment& amended = model.amendments().begin()->second;
    amendments.account = amended.account;
    amendments.instrument = amended.instrument;
    amendments.order_id = amended.order_id;
    amendments.limit = 1000;
    REQUIRE_FALSE(projection->amendments(amendments).empty());
    CHECK(std::memcmp(&projection->amendments(amendments)[0], &amended, sizeof amended) == 0);
    amendments.from_sequence = UINT32_MAX;
    CHECK(projection->amendments(amendments).empty());

    const tenon_order& wanted = model.order(mine[4]);
    const auto by_id = projection->order(account, 0, wanted.order_id, nullptr);
    REQUIRE(by_id);
    CHECK(std::memcmp(&*by_id, &wanted, sizeof wanted) == 0);
    const auto by_client = projection->order(account, TENON_ANY_INSTRUMENT, 0, &wanted.client_id);
    REQUIRE(by_client);
    CHECK(by_client->order_id == wanted.order_id);
    CHECK_FALSE(projection->order(account + 1, 0, wanted.order_id, nullptr));
    CHECK_FALSE(projection->order(account, 1, wanted.order_id, nullptr));

    tenon_trade_query trades{};
    trades.size = sizeof trades;
    trades.account = account;
    trades.instrument = 0;
    trades.limit = 1000;
    const auto all = projection->trades(trades);
    REQUIRE(all.size() > 3);
    CHECK(all.size() == model.trade_count(account, 0));
    for (std::size_t i = 1; i < all.size(); ++i) {
        CHECK(all[i - 1].trade_id < all[i].trade_id);
    }
    trades.limit = 3;
    CHECK(projection->trades(trades).back().trade_id == all.back().trade_id);
    trades.from_trade_id = all[2].trade_id;
    CHECK(projection->trades(trades).front().trade_id == all[2].trade_id);
    trades.from_trade_id = 0;
    trades.limit = 1000;
    trades.order_id = all[0].order_id;
    CHECK(projection->trades(trades).front().trade_id == all[0].trade_id);
}

TEST_CASE("commands without events move the offset, too", "[projection][T5]") {
    Bench bench;
    bench.options.offset_interval_ns = 0;
    auto projection = bench.open();
    CHECK(projection->load_offset() == 0);
    std::size_t next = 10;  // before it are two commands without events
    while (bench.events.sequence(next) - bench.events.sequence(next - 1) != 3) {
        ++next;
    }
    bench.feed(*projection, 0, next);
    const std::uint64_t last = bench.events.sequence(next - 1);
    const auto advance = [&](std::uint64_t to) {
        tenon::call_on_reactor(bench.backend.host.exec(), 0, [&] { projection->advance(to); });
    };
    const auto written = [&] {
        return static_cast<std::uint64_t>(bench.scalar("SELECT sequence FROM projection_offset"));
    };
    advance(last + 1);
    REQUIRE(bench.wait_for(*projection, last + 1));
    const auto patience = bench.backend.deadline();
    while (projection->state().queued != 0 && bench.backend.host.reactor().now_ns() < patience) {
        std::this_thread::yield();
    }
    advance(last + 2);
    CHECK(projection->projected_sequence() == last + 2);
    while (written() != last + 2 && bench.backend.host.reactor().now_ns() < patience) {
        advance(last + 2);
    }
    CHECK(written() == last + 2);
    bench.faulty.down = true;
    bench.feed(*projection, next, bench.events.size());
    const std::uint64_t end = bench.events.last_sequence();
    advance(end + 3);
    CHECK(projection->projected_sequence() == last + 2);
    bench.faulty.down = false;
    REQUIRE(bench.wait_for(*projection, end + 3));
    advance(end + 9);
    projection->stop(bench.backend.deadline());
    CHECK(written() == end + 9);
    CHECK(bench.dump() == bench.events.expected_dump());
}
