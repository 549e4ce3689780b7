// SPDX-License-Identifier: Apache-2.0
// The facets: a class of a plugin on one side, the contract's table on the other.
#include "tests/support/fake_host.hpp"

#include <tenon/admin.hpp>
#include <tenon/auth.hpp>
#include <tenon/backup.hpp>
#include <tenon/bus.hpp>
#include <tenon/cache_provider.hpp>
#include <tenon/cache_tier.hpp>
#include <tenon/feed.hpp>
#include <tenon/instruments.hpp>
#include <tenon/market_data.hpp>
#include <tenon/migrations.hpp>
#include <tenon/probe.hpp>
#include <tenon/storage_provider.hpp>
#include <tenon/throttle.hpp>
#include <tenon/venue.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

using tenon::test::FakeHost;
using tenon::test::FakeReactor;

namespace {

// A facet as the host sees it: through the table alone.
template <class Table, class Facet>
tenon::Service<Table> offered(Facet& facet) {
    return {&facet, static_cast<const Table*>(Facet::table(facet))};
}

class TestFeed final : public tenon::Feed {
public:
    explicit TestFeed(const tenon_host* host) : Feed{host} {}

    bool serves(std::uint32_t instrument) const noexcept override { return instrument == 3; }

    void snapshots(const Send& send) override {
        tenon_feed_event event{};
        event.kind = TENON_FEED_SNAPSHOT;
        event.instrument = 3;
        send(event);
    }

    void trade() {
        tenon_feed_event event{};
        event.kind = TENON_FEED_TRADE;
        emit(event);
    }

    using Feed::drop_listeners;
};

class TestVenue final : public tenon::Venue {
public:
    void submit(
        const tenon_venue_order& order,
        std::string_view evidence,
        std::int64_t,
        Reports& out
    ) override {
        if (order.quantity == 1) {
            throw std::runtime_error{"no"};
        }
        out.accepted(order.order_id, order.instrument);
        if (order.quantity == 2) {
            throw std::runtime_error{"no"};
        }
        out.trade(order.order_id, 0, order.instrument, 5, static_cast<int>(evidence.size()));
    }

    void cancel(std::uint64_t order_id, std::uint32_t instrument, std::int64_t, Reports& out)
        override {
        out.canceled(order_id, instrument);
    }

    std::string snapshot_write() const override { return "state"; }

    void snapshot_read(std::string_view state) override {
        if (state != "state") {
            throw tenon::Error{TENON_CORRUPT, "not a state"};
        }
    }

    std::uint64_t hash() const noexcept override { return 77; }
};

struct Row final : tenon::StorageStatement {
    void bind(std::uint32_t index, const tenon_value& value) override {
        if (index != 1) {
            throw tenon::Error{TENON_INVALID, "no such parameter"};
        }
        bound = value.i;
    }

    bool step() override { return bound-- > 0; }

    std::uint32_t column_count() const override { return 1; }

    std::string_view column_name(std::uint32_t) const override { return "n"; }

    tenon_value column(std::uint32_t) const override { return tenon::value_of(bound); }

    std::int64_t bound = 0;
};

struct TestSession final : tenon::StorageSession {
    void begin() override { calls.append("B"); }

    void commit() override {
        if (fail_commit) {
            throw tenon::StorageError{
                TENON_CONFLICT, "serialisation", tenon::Failure::retry_transaction};
        }
        calls.append("C");
    }

    void rollback() override { calls.append("R"); }

    void execute(std::string_view) override {}

    tenon::StorageStatement& prepare(std::string_view) override { return row; }

    std::uint64_t changes() const override { return 4; }

    void bulk_insert(
        std::string_view,
        std::span<const tenon_str> columns,
        std::span<const tenon_value> values
    ) override {
        inserted = values.size() / columns.size();
    }

    std::string explain(std::string_view sql) override { return "SCAN " + std::string{sql}; }

    Row row;
    std::string calls;
    std::size_t inserted = 0;
    bool fail_commit = false;
};

class TestStorage final : public tenon::StorageProvider {
public:
    std::string_view dialect() const noexcept override { return "sqlite"; }

    tenon::StorageSession& lease(std::uint32_t, std::int64_t) override {
        session.calls.append("(");
        return session;
    }

    void release(tenon::StorageSession&) noexcept override { session.calls.append(")"); }

    void stats(tenon_storage_stats& out) override { out.limit = 9; }

    TestSession session;
};

class TestBackup final : public tenon::Backup {
public:
    std::string create(const tenon_backup_request& request, const Progress& progress) override {
        progress("copy", 1, 2);
        return "{\"label\":\"" + std::string{tenon::view(request.label)} + "\"}";
    }

    std::string list() override { return "[]"; }

    void verify(std::string_view id, const Progress&) override {
        throw tenon::Error{TENON_CORRUPT, std::string{id} + "/piece-1"};
    }

    void restore(const tenon_restore_request&, const Progress&) override {}

    std::string prune(bool dry_run) override { return dry_run ? "[]" : "[\"a\"]"; }

    void cancel() noexcept override { cancelled = true; }

    bool cancelled = false;
};

class HistoryFeed final : public tenon::Feed {
public:
    explicit HistoryFeed(const tenon_host* host) : Feed{host, true} {}

    bool serves(std::uint32_t) const noexcept override { return true; }

    void snapshots(const Send&) override {}

    std::uint64_t fetch(const tenon_history_query& query, Fetched done) override {
        if (query.limit == 0) {
            throw tenon::Error{TENON_INVALID, "no rows are asked for"};
        }
        asked[++last] = std::move(done);
        return last;
    }

    void cancel_fetch(std::uint64_t handle) noexcept override { cancelled.push_back(handle); }

    std::map<std::uint64_t, Fetched> asked;
    std::vector<std::uint64_t> cancelled;
    std::uint64_t last = 0;
};

class TestMigrations final : public tenon::Migrations {
public:
    std::uint32_t version() const noexcept override { return 12; }

    std::string report() override { throw tenon::Error{TENON_UNAVAILABLE, "not started"}; }
};

class TestProbe final : public tenon::Probe {
public:
    void check(bool deep, std::int64_t) override {
        if (deep) {
            throw tenon::Error{TENON_TIMEOUT, "slow disk"};
        }
    }
};

}  // namespace

TEST_CASE("a listener of a feed gets snapshots first and then what is emitted", "[sdk][K2]") {
    FakeHost host{FakeReactor::Mode::manual};
    TestFeed feed{host.raw()};
    const auto service = offered<tenon_feed_1>(feed);
    std::vector<std::uint32_t> kinds;
    std::uint64_t handle = 0;
    const auto note = [](void* ctx, const tenon_feed_event* event) {
        CHECK(event->size == sizeof(tenon_feed_event));
        static_cast<std::vector<std::uint32_t>*>(ctx)->push_back(event->kind);
    };
    REQUIRE(service->subscribe(service.self, &kinds, note, &handle) == TENON_OK);
    CHECK(handle > 0);
    feed.trade();
    CHECK(kinds.empty());
    host.reactor().turn();
    feed.trade();
    CHECK(kinds == std::vector<std::uint32_t>{TENON_FEED_SNAPSHOT, TENON_FEED_TRADE});
    service->unsubscribe(service.self, handle);
    feed.trade();
    CHECK(kinds.size() == 2);
    CHECK(service->serves(service.self, 3) == 1);
    CHECK(service->serves(service.self, 4) == 0);
    REQUIRE(service->subscribe(service.self, &kinds, note, &handle) == TENON_OK);
    feed.drop_listeners();
    host.reactor().turn();
    CHECK(kinds.size() == 2);
}

TEST_CASE("a feed without a history has no slot for it", "[sdk][K2][T6]") {
    FakeHost host{FakeReactor::Mode::manual};
    TestFeed feed{host.raw()};
    const auto service = offered<tenon_feed_1>(feed);
    CHECK(service->fetch == nullptr);
    tenon::HistoryCalls calls{service.self, service->fetch, service->cancel_fetch};
    CHECK_THROWS_AS(calls.ask({}, nullptr), tenon::Error);
}

TEST_CASE("rows of before come once, and never after a cancel", "[sdk][K2][T6]") {
    FakeHost host{FakeReactor::Mode::manual};
    HistoryFeed feed{host.raw()};
    const auto service = offered<tenon_feed_1>(feed);
    REQUIRE(service->fetch != nullptr);
    tenon::HistoryCalls calls{service.self, service->fetch, service->cancel_fetch};
    std::vector<std::string> told;
    const auto note =
        [&](tenon_status status, const tenon_history_rows* rows, std::string_view reason) {
            told.push_back(
                status == TENON_OK
                    ? "price " + std::to_string(tenon::copy_rows(*rows).trades.at(0).price)
                    : std::to_string(status) + " " + std::string{reason}
            );
        };
    auto query = tenon::sized<tenon_history_query>();
    query.kind = TENON_HISTORY_TRADES;
    query.limit = 10;
    const std::uint64_t first = calls.ask(query, note);
    const std::uint64_t second = calls.ask(query, note);
    const std::uint64_t third = calls.ask(query, note);
    CHECK(calls.under_way() == 3);
    calls.cancel(second);
    CHECK(feed.cancelled == std::vector<std::uint64_t>{second});
    tenon::HistoryRows rows;
    rows.trades.push_back(tenon::sized<tenon_public_trade>());
    rows.trades.back().price = 41;
    feed.asked.at(first)(TENON_OK, rows, "");
    feed.asked.at(third)(TENON_UNAVAILABLE, {}, "the exchange is away");
    CHECK(told == std::vector<std::string>{"price 41", "-4 the exchange is away"});
    CHECK(calls.under_way() == 0);
    query.limit = 0;
    CHECK_THROWS_AS(calls.ask(query, note), tenon::Error);
    CHECK(calls.under_way() == 0);
}

TEST_CASE("an order that makes a venue throw is ended, not lost", "[sdk][K2]") {
    TestVenue venue;
    const auto service = offered<tenon_venue_1>(venue);
    std::vector<tenon_venue_report> reports;
    const tenon_venue_reports out{
        &reports, [](void* ctx, const tenon_venue_report* report) {
            static_cast<std::vector<tenon_venue_report>*>(ctx)->push_back(*report);
        }};
    tenon_venue_order order{};
    order.order_id = 7;
    order.instrument = 2;
    const auto submit = [&](std::int64_t quantity) {
        reports.clear();
        order.quantity = quantity;
        service->submit(service.self, &order, tenon::bytes("abc"), 0, out);
    };
    submit(1);
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].kind == TENON_REPORT_REJECTED);
    CHECK(reports[0].reject == TENON_REJECT_VENUE);
    submit(2);
    REQUIRE(reports.size() == 2);
    CHECK(reports[1].kind == TENON_REPORT_EXPIRED);
    submit(3);
    REQUIRE(reports.size() == 2);
    CHECK(reports[1].quantity == 3);
    CHECK(reports[1].order_id == 7);
    reports.clear();
    service->cancel(service.self, 7, 2, 0, out);
    CHECK(reports.at(0).kind == TENON_REPORT_CANCELED);
    CHECK(service->apply(service.self, tenon::bytes("x"), 0, out) == TENON_INVALID);
    tenon::StringSink sink;
    CHECK(service->evidence(service.self, &order, 0, sink.sink()) == TENON_OK);
    CHECK(sink.text().empty());
    CHECK(service->snapshot_write(service.self, sink.sink(), nullptr) == TENON_OK);
    CHECK(sink.text() == "state");
    tenon::ErrorBuffer err;
    CHECK(service->snapshot_read(service.self, tenon::bytes("x"), &err) == TENON_CORRUPT);
    CHECK(err.message() == "not a state");
    CHECK(service->hash(service.self) == 77);
    CHECK(service->reference_price(service.self, 2, {}) == 0);
}

TEST_CASE("a storage made of the facet serves the storage wrapper", "[sdk][K2]") {
    TestStorage backend;
    const tenon::Storage storage{offered<tenon_storage_1>(backend)};
    CHECK(storage.dialect() == "sqlite");
    std::int64_t rows = 0;
    storage.write(tenon::k_no_deadline, [&](tenon::Session& s) {
        auto statement = s.prepare("x").bind_all(3);
        while (statement.step()) {
            rows += 1 + statement.integer(0);
        }
        CHECK(statement.column_name(0) == "n");
        CHECK(s.changes() == 4);
        CHECK(s.explain("t") == "SCAN t");
        const tenon_str columns[] = {tenon::str("a"), tenon::str("b")};
        const tenon_value values[4] = {};
        s.bulk_insert("t", columns, values);
        CHECK_THROWS_WITH(s.prepare("x").bind(2, 1), "no such parameter");
    });
    CHECK(rows == 6);
    CHECK(backend.session.inserted == 2);
    CHECK(backend.session.calls == "(BC)");
    CHECK_THROWS_WITH(
        storage.read(
            tenon::k_no_deadline, [](tenon::Session&) { throw std::runtime_error{"mine"}; }
        ),
        "mine"
    );
    CHECK(backend.session.calls == "(BC)(BR)");
    backend.session.fail_commit = true;
    try {
        storage.write(tenon::k_no_deadline, [](tenon::Session&) {});
        FAIL("the commit fails");
    } catch (const tenon::StorageError& e) {
        CHECK(e.retryable());
        CHECK(e.code() == TENON_CONFLICT);
    }
    CHECK(storage.stats().limit == 9);
}

TEST_CASE("backups, migrations and probes keep their messages over the seam", "[sdk][K2]") {
    TestBackup backup;
    const auto backups = offered<tenon_backup_1>(backup);
    tenon::StringSink sink;
    tenon::ErrorBuffer err;
    auto request = tenon::sized<tenon_backup_request>();
    request.label = tenon::str("daily");
    CHECK(backups->create(backups.self, &request, {}, sink.sink(), &err) == TENON_OK);
    CHECK(sink.text() == R"({"label":"daily"})");
    const tenon_backup_progress stop{
        nullptr, [](void*, tenon_str, std::uint64_t, std::uint64_t) -> tenon_status {
            return TENON_TIMEOUT;
        }};
    CHECK(backups->create(backups.self, &request, stop, sink.sink(), &err) == TENON_TIMEOUT);
    CHECK(backups->verify(backups.self, tenon::str("b1"), {}, &err) == TENON_CORRUPT);
    CHECK(err.message() == "b1/piece-1");
    backups->cancel(backups.self);
    CHECK(backup.cancelled);

    TestMigrations migrations;
    const auto schema = offered<tenon_migrations_1>(migrations);
    CHECK(schema->version(schema.self) == 12);
    CHECK(schema->report(schema.self, sink.sink(), &err) == TENON_UNAVAILABLE);
    CHECK(err.message() == "not started");

    TestProbe probe;
    const auto check = offered<tenon_probe_1>(probe);
    CHECK(check->check(check.self, 0, 0, &err) == TENON_OK);
    CHECK(check->check(check.self, 1, 0, &err) == TENON_TIMEOUT);
    CHECK(err.message() == "slow disk");
}

TEST_CASE("admin commands read their arguments and end with their owner", "[sdk][K4]") {
    FakeHost host{FakeReactor::Mode::manual};
    {
        tenon::AdminCommands commands;
        commands.open(tenon::Host{host.raw()});
        commands.add("test.echo", "{\"n\":N}", [](const tenon::Settings& args) {
            return std::to_string(args.get<int>("n"));
        });
        CHECK(host.admin("test.echo", R"({"n":5})") == "5");
        CHECK_THROWS_WITH(
            host.admin("test.echo", "{}"), "test.echo: setting /n: found null, expected a number"
        );
        CHECK_THROWS_WITH(
            commands.add("test.echo", "", [](const tenon::Settings&) { return "1"; }),
            "cannot add the command test.echo"
        );
    }
    CHECK_THROWS_WITH(host.admin("test.echo", "{}"), "no admin command test.echo");
}

TEST_CASE("instruments and keys are looked up through their facets", "[sdk][K2]") {
    struct List final : tenon::Instruments {
        List() {
            asset_.name = tenon::str("BTC");
            instrument_.symbol = tenon::str("BTCUSDT");
        }

        std::uint32_t asset_count() const noexcept override { return 1; }

        std::uint32_t instrument_count() const noexcept override { return 1; }

        const tenon_asset* asset(std::uint32_t id) const noexcept override {
            return id == 0 ? &asset_ : nullptr;
        }

        const tenon_instrument* instrument(std::uint32_t id) const noexcept override {
            return id == 0 ? &instrument_ : nullptr;
        }

        tenon_asset asset_{};
        tenon_instrument instrument_{};
    } list;

    struct Keys final : tenon::Auth {
        tenon_status identify(std::string_view api_key, tenon_identity& out) override {
            if (api_key != "k") {
                return TENON_NOT_FOUND;
            }
            out.account = 12;
            return TENON_OK;
        }

        tenon_status verify(
            std::string_view api_key,
            std::span<const tenon_bytes> parts,
            std::string_view signature,
            tenon_identity& out
        ) override {
            return parts.size() == 2 && signature == "good" ? identify(api_key, out) : TENON_DENIED;
        }
    } keys;

    FakeHost host{FakeReactor::Mode::manual};
    host.bind("tenon.instruments/1", {&list, tenon::Instruments::table(list)});
    const tenon::InstrumentList instruments{tenon::Host{host.raw()}};
    CHECK(instruments.size() == 1);
    CHECK(instruments.find("BTCUSDT") == &list.instrument_);
    CHECK(instruments.find("ETHUSDT") == nullptr);
    CHECK(instruments.find_asset("BTC") == &list.asset_);
    CHECK_THROWS_WITH(instruments.at(1), "there is no instrument 1");

    const auto auth = offered<tenon_auth_1, tenon::Auth>(keys);
    auto who = tenon::sized<tenon_identity>();
    CHECK(auth->identify(auth.self, tenon::str("x"), &who) == TENON_NOT_FOUND);
    CHECK(who.account == 0);
    const tenon_bytes parts[] = {tenon::bytes("a"), tenon::bytes("b")};
    CHECK(
        auth->verify(auth.self, tenon::str("k"), parts, 2, tenon::str("bad"), &who) == TENON_DENIED
    );
    CHECK(auth->verify(auth.self, tenon::str("k"), parts, 2, tenon::str("good"), &who) == TENON_OK);
    CHECK(who.account == 12);
}
