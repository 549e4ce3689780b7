// SPDX-License-Identifier: Apache-2.0
// The storage contract with many callers at once.
#include "tests/support/in_use.hpp"
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <barrier>
#include <map>
#include <random>
#include <thread>

using tenon::Session;
using tenon::StorageError;

namespace {

// What one caller tries: a transfer that the rules of the table allow or not.
struct Attempt {
    std::int64_t from, to, amount;
    bool change_of_mind;  // fails after having written
};

void apply(Session& s, const Attempt& attempt, std::int64_t id) {
    s.prepare("INSERT INTO log (id) VALUES (?)").bind(1, id).run();
    s.prepare("UPDATE account SET money = money + ? WHERE id = ?")
        .bind_all(attempt.amount, attempt.to)
        .run();
    s.prepare("UPDATE account SET money = money - ? WHERE id = ?")
        .bind_all(attempt.amount, attempt.from)
        .run();
    if (attempt.change_of_mind) {
        throw tenon::Error{TENON_DENIED, "changed my mind"};
    }
}

}  // namespace

TEMPLATE_TEST_CASE(
    "failing transactions inside groups leave what a serial run leaves",
    "[storage][S1][S11]",
    TENON_STORAGE_BACKENDS
) {
    constexpr int k_threads = 8;
    constexpr int k_each = 150;
    constexpr std::int64_t k_accounts = 4;
    TestType backend;
    auto storage = backend.storage();
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    storage.write(backend.deadline(), [&](Session& s) {
        s.execute(
            "CREATE TABLE account (id BIGINT PRIMARY KEY, money BIGINT NOT NULL CHECK (money >= "
            "0));"
            "CREATE TABLE log (id BIGINT PRIMARY KEY)"
        );
        for (std::int64_t i = 0; i < k_accounts; ++i) {
            s.prepare("INSERT INTO account VALUES (?, 100)").bind(1, i).run();
        }
    });
    std::vector<std::vector<Attempt>> plans(k_threads);
    std::mt19937_64 random{seed};
    for (auto& plan : plans) {
        for (int i = 0; i < k_each; ++i) {
            plan.push_back(
                {static_cast<std::int64_t>(random() % k_accounts),
                 static_cast<std::int64_t>(random() % k_accounts),
                 static_cast<std::int64_t>(random() % 80),
                 random() % 5 == 0}
            );
        }
    }
    std::atomic<int> unexpected{0};
    std::vector<std::map<std::int64_t, bool>> outcomes(k_threads);
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            const auto mine = static_cast<std::size_t>(t);
            for (int i = 0; i < k_each; ++i) {
                const std::int64_t id = t * 1000 + i;
                try {
                    storage.write(backend.deadline(), [&](Session& s) {
                        apply(s, plans[mine][static_cast<std::size_t>(i)], id);
                    });
                    outcomes[mine][id] = true;
                } catch (const tenon::Error& e) {
                    outcomes[mine][id] = false;
                    if (e.code() != TENON_CONFLICT && e.code() != TENON_DENIED) {
                        ++unexpected;
                    }
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(unexpected == 0);

    // The log's order of insertion is the serial order; replaying it must give the same accounts
    // and agree with what each caller was told.
    std::map<std::int64_t, std::int64_t> oracle;
    for (std::int64_t i = 0; i < k_accounts; ++i) {
        oracle[i] = 100;
    }
    std::size_t logged = 0;
    storage.read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT id FROM log");
        while (q.step()) {
            ++logged;
            const auto id = q.integer(0);
            const auto& attempt =
                plans[static_cast<std::size_t>(id / 1000)][static_cast<std::size_t>(id % 1000)];
            REQUIRE(outcomes[static_cast<std::size_t>(id / 1000)][id]);
            oracle[attempt.to] += attempt.amount;
            oracle[attempt.from] -= attempt.amount;
        }
        auto accounts = s.prepare("SELECT id, money FROM account");
        while (accounts.step()) {
            CHECK(accounts.integer(1) == oracle[accounts.integer(0)]);
        }
    });
    std::size_t acknowledged = 0;
    for (const auto& outcome : outcomes) {
        for (const auto& [id, ok] : outcome) {
            acknowledged += ok ? 1U : 0U;
        }
    }
    CHECK(logged == acknowledged);
}

TEMPLATE_TEST_CASE(
    "64 callers that read and write at once see no lock and lose nothing",
    "[storage][S1][S3]",
    TENON_STORAGE_BACKENDS
) {
    constexpr int k_threads = 64;
    constexpr int k_each = 40;
    TestType backend;
    auto storage = backend.storage();
    storage.write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE n (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)");
        s.execute("INSERT INTO n VALUES (0, 0)");
    });
    std::atomic<int> failures{0};
    std::barrier start{k_threads};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            start.arrive_and_wait();
            for (int i = 0; i < k_each; ++i) {
                try {
                    storage.write(backend.deadline(), [&](Session& s) {
                        s.prepare("UPDATE n SET v = v + 1 WHERE id = 0").run();
                        s.prepare("INSERT INTO n VALUES (?, 1)").bind(1, 1 + t * k_each + i).run();
                    });
                    storage.read(backend.deadline(), [&](Session& s) {
                        auto q = s.prepare(
                            "SELECT v, (SELECT count(*) FROM n WHERE id > 0) FROM n WHERE id = 0"
                        );
                        if (!q.step() || q.integer(0) != q.integer(1)) {
                            ++failures;
                        }
                    });
                } catch (const tenon::Error& e) {
                    UNSCOPED_INFO(e.what());
                    ++failures;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(failures == 0);
    storage.read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT v FROM n WHERE id = 0");
        REQUIRE(q.step());
        CHECK(q.integer(0) == k_threads * k_each);
    });
    const auto stats = storage.stats();
    CHECK(stats.group_commits <= stats.transactions);
    CHECK(stats.waiting == 0);
    CHECK(tenon::test::in_use_at_rest(storage) == 0);
}
