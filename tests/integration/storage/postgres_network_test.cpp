// SPDX-License-Identifier: Apache-2.0
// A network that loses a COMMIT or its answer, or goes silent.
#include "tests/integration/storage/postgres_backend.hpp"
#include "tests/support/cutting_proxy.hpp"
#include "tests/support/in_use.hpp"

#include <catch2/catch.hpp>

#include <thread>
#include <utility>

using tenon::Failure;
using tenon::Session;
using tenon::StorageError;
using tenon::test::CuttingProxy;
using tenon::test::PostgresBackend;

namespace {

constexpr std::int64_t k_second = 1'000'000'000;

struct Fixture {
    explicit Fixture(const PostgresBackend::Tweak& tweak = {})
        : backend{[&](tenon::postgres::Settings& s) {
              s.conninfo +=
                  " host=127.0.0.1 port=" + std::to_string(network.port()) + " sslmode=disable";
              s.query_cache_mb = 0;  // no connection but those of the test's own calls
              s.statements_max = 0;
              if (tweak) {
                  tweak(s);
              }
          }} {
        backend.storage().write(backend.deadline(), [](Session& s) {
            s.execute("CREATE TABLE t (id BIGINT)");  // without a key: what is done twice is there
        });
    }

    // `before_commit` comes when all that was sent before has reached the server.
    void write(
        std::int64_t id,
        std::string_view key = {},
        const std::function<void()>& before_commit = [] {}
    ) {
        auto options = tenon::sized<tenon_transaction_options>();
        options.intent = TENON_INTENT_WRITE;
        options.deadline_ns = backend.deadline();
        options.key = tenon::str(key);
        (void)backend.storage().transact(options, [&](Session& s) {
            s.prepare("INSERT INTO t (id) VALUES (?)").bind(1, id).run();
            before_commit();
        });
    }

    [[nodiscard]] Failure failure_of(const std::function<void()>& body) {
        try {
            body();
        } catch (const StorageError& e) {
            UNSCOPED_INFO(e.what());
            return e.failure();
        }
        return Failure::not_told;
    }

    // Asked beside the network: the end of a reading transaction is a COMMIT, too.
    [[nodiscard]] std::int64_t count(std::int64_t id) {
        return std::stoll(PostgresBackend::server().execute(
            "SELECT count(*) FROM t WHERE id = " + std::to_string(id), backend.name
        ));
    }

    // Nobody waits for the answer to the COMMIT of a read, so it may be cut after the call
    // returned.
    [[nodiscard]] std::uint64_t cuts_at(std::uint64_t expected) {
        const std::int64_t until = backend.deadline();
        while (network.cuts() < expected && backend.deadline(0) < until) {
            std::this_thread::yield();
        }
        return network.cuts();
    }

    CuttingProxy network{PostgresBackend::server().folder() / ".s.PGSQL.5432"};
    PostgresBackend backend;
};

}  // namespace

TEST_CASE("a commit whose answer is lost is in doubt, and not run again", "[postgres][S11]") {
    Fixture f;
    CHECK(f.failure_of([&] {
        f.write(1, {}, [&] { f.network.lose_answers(1); });
    }) == Failure::in_doubt);
    CHECK(f.count(1) == 1);
    CHECK(f.failure_of([&] {
        f.write(2, {}, [&] { f.network.lose_commits(1); });
    }) == Failure::in_doubt);
    CHECK(f.count(2) == 0);
    CHECK(f.network.cuts() == 2);
    CHECK(f.backend.storage().stats().in_doubt == 2);
}

TEST_CASE("a doubt is resolved by its key, whichever way it went", "[postgres][S11]") {
    Fixture f;
    f.write(0, "the table of keys is made");
    std::uint64_t cut = 0;
    for (std::int64_t id = 1; id <= 10; ++id) {
        const std::string key = "key " + std::to_string(id);
        const auto count = static_cast<int>(id % 2 == 0 ? id / 2 : id / 2 + 1);
        bool is_armed = false;
        f.write(id, key, [&] {
            if (std::exchange(is_armed, true)) {
                return;
            }
            if (id % 2 == 0) {
                f.network.lose_answers(count);
            } else {
                f.network.lose_commits(count);
            }
        });
        CHECK(f.count(id) == 1);
        f.write(id, key);
        CHECK(f.count(id) == 1);
        cut += static_cast<std::uint64_t>(count);
        CHECK(f.cuts_at(cut) == cut);
    }
    // Each write was in doubt, but for one whose loss may have met the commit that takes old keys
    // out. The other losses met the writes again, or reads, which nobody doubts.
    CHECK(f.backend.database->doubts() + 1 >= 10);
    CHECK(f.backend.database->doubts() <= f.network.cuts());
    CHECK(f.backend.storage().stats().in_doubt == 0);
}

TEST_CASE("on a silent network a caller waits for its own time alone", "[postgres][S3]") {
    Fixture f;
    f.write(1);
    f.backend.storage().read(f.backend.deadline(), [&](Session& s) {
        s.prepare("SELECT 1").run();
        f.network.go_silent();  // the answer to its end, which nobody waits for, never comes
    });
    const std::int64_t deadline_ns = f.backend.deadline(k_second / 10);
    const Failure failure = f.failure_of([&] {
        f.backend.storage().read(deadline_ns, [](Session& s) { s.prepare("SELECT 1").run(); });
    });
    // A statement has 30 s, and so had a session that was lent to look whether it is alive.
    CHECK(f.backend.deadline(0) < deadline_ns + 20 * k_second);
    CHECK((failure == Failure::timeout || failure == Failure::other_host));
    f.network.resume();
    CHECK(f.count(1) == 1);
}

TEST_CASE("a session that cannot be brought to rest goes, and its caller too", "[postgres][S3]") {
    Fixture f{[](tenon::postgres::Settings& s) { s.pool_size = 1; }};
    {
        auto lease = f.backend.storage().lease(TENON_INTENT_WRITE, f.backend.deadline());
        lease->begin();
        lease->prepare("INSERT INTO t VALUES (5)").run();
        f.network.go_silent();
    }  // the roll-back is not answered
    f.network.resume();
    CHECK(f.count(5) == 0);
    CHECK(tenon::test::in_use_at_rest(f.backend.storage()) == 0);
}

TEST_CASE("a host by its name is reached at the address that answers", "[postgres][S2]") {
    CuttingProxy network{PostgresBackend::server().folder() / ".s.PGSQL.5432"};
    PostgresBackend backend{[&](tenon::postgres::Settings& s) {
        s.hosts = {"localhost:" + std::to_string(network.port())};  // ::1, too, where nobody is
        s.tls_mode = "disable";
    }};
    backend.storage().read(backend.deadline(), [](Session& s) {
        auto q = s.prepare("SELECT inet_server_addr() IS NULL");
        REQUIRE(q.step());
        CHECK(q.integer(0) == 1);  // the proxy goes on to the socket
    });
    PostgresBackend nowhere{
        [](tenon::postgres::Settings& s) { s.hosts = {"no-such-host.invalid"}; }};
    try {
        (void)nowhere.storage().lease(TENON_INTENT_READ, nowhere.deadline(2 * k_second));
        FAIL("connected");
    } catch (const StorageError& e) {
        CHECK(e.failure() == Failure::other_host);
        CHECK_THAT(e.what(), Catch::Contains("no-such-host.invalid"));
    }
}
