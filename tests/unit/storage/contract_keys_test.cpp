// SPDX-License-Identifier: Apache-2.0
// The storage contract's transact_with: keys that make a write happen once, and durabilities.
#include "tests/unit/storage/backend.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <barrier>
#include <thread>

using tenon::Failure;
using tenon::Session;
using tenon::StorageError;

namespace {

template <class Backend>
tenon_transaction_options
options_of(Backend& backend, std::string_view key, std::uint32_t durability = 0) {
    auto options = tenon::sized<tenon_transaction_options>();
    options.intent = TENON_INTENT_WRITE;
    options.deadline_ns = backend.deadline();
    options.key = tenon::str(key);
    options.durability = durability;
    return options;
}

template <class Backend>
void make_table(Backend& backend) {
    backend.storage().write(backend.deadline(), [](Session& s) {
        s.execute("CREATE TABLE k (id BIGINT PRIMARY KEY, x TEXT NOT NULL)");
    });
}

void put(Session& s, std::int64_t id, std::string_view text) {
    s.prepare("INSERT INTO k VALUES (?, ?)").bind_all(id, text).run();
}

template <class Backend>
std::string content(Backend& backend) {
    std::string text;
    backend.storage().read(backend.deadline(), [&](Session& s) {
        text.clear();
        auto q = s.prepare("SELECT id, x FROM k ORDER BY id");
        while (q.step()) {
            text += std::to_string(q.integer(0)) + std::string{q.text(1)} + " ";
        }
    });
    return text;
}

StorageError error_of(const std::function<void()>& body) {
    try {
        body();
    } catch (const StorageError& e) {
        return e;
    }
    return {TENON_OK, "no error", Failure::not_told};
}

}  // namespace

TEMPLATE_TEST_CASE(
    "a write whose key was committed is not run again, also after a restart",
    "[storage][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    make_table(backend);
    int runs = 0;
    const auto work = [&](Session& s) {
        ++runs;
        put(s, runs, "a");
    };
    for (int i = 0; i < 3; ++i) {
        (void)backend.storage().transact(options_of(backend, "order-1"), work);
    }
    CHECK(content(backend) == "1a ");
    backend.open();
    (void)backend.storage().transact(options_of(backend, "order-1"), work);
    CHECK(content(backend) == "1a ");
    (void)backend.storage().transact(options_of(backend, "order-2"), work);
    (void)backend.storage().transact(options_of(backend, ""), work);
    (void)backend.storage().transact(options_of(backend, ""), work);
    CHECK(content(backend) == "1a 2a 3a 4a ");
    CHECK(runs == 4);
}

TEMPLATE_TEST_CASE(
    "the key of a write that failed is free",
    "[storage][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    make_table(backend);
    auto storage = backend.storage();
    CHECK_THROWS_WITH(
        storage.transact(
            options_of(backend, "key"),
            [](Session& s) {
                put(s, 1, "a");
                throw tenon::Error{TENON_DENIED, "changed my mind"};
            }
        ),
        "changed my mind"
    );
    const auto twice = [](Session& s) {
        put(s, 1, "a");
        put(s, 1, "a");
    };
    CHECK(error_of([&] {
              (void)storage.transact(options_of(backend, "key"), twice);
          }).failure() == Failure::constraint);
    CHECK(content(backend).empty());
    (void)storage.transact(options_of(backend, "key"), [](Session& s) { put(s, 2, "b"); });
    CHECK(content(backend) == "2b ");
}

TEMPLATE_TEST_CASE(
    "keys that are too long or for reads, and unknown durabilities, are refused",
    "[storage][S11]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    make_table(backend);
    auto storage = backend.storage();
    bool ran = false;
    const auto refused = [&](const tenon_transaction_options& options) {
        const StorageError error =
            error_of([&] { (void)storage.transact(options, [&](Session&) { ran = true; }); });
        INFO(error.what());
        return error.code() == TENON_INVALID && error.failure() == Failure::permanent;
    };
    const std::string longest(64, 'k');
    CHECK(refused(options_of(backend, longest + "k")));
    CHECK(refused(options_of(backend, "", TENON_DURABILITY_REPLICA + 1)));
    auto reading = options_of(backend, "key");
    reading.intent = TENON_INTENT_READ;
    CHECK(refused(reading));
    CHECK_FALSE(ran);
    (void)storage.transact(options_of(backend, longest), [](Session& s) { put(s, 1, "a"); });
    CHECK(content(backend) == "1a ");
}

TEMPLATE_TEST_CASE(
    "writes of every durability are there, with a key and without",
    "[storage][S6]",
    TENON_STORAGE_BACKENDS
) {
    TestType backend;
    make_table(backend);
    int id = 0;
    for (const std::uint32_t durability :
         {TENON_DURABILITY_LOCAL, TENON_DURABILITY_DEFAULT, TENON_DURABILITY_REPLICA}) {
        for (const bool keyed : {false, true}) {
            const std::string key = keyed ? "key " + std::to_string(durability) : "";
            (void)backend.storage().transact(options_of(backend, key, durability), [&](Session& s) {
                put(s, ++id, "x");
            });
        }
    }
    CHECK(content(backend) == "1x 2x 3x 4x 5x 6x ");
}

TEMPLATE_TEST_CASE(
    "of callers that try one key at once, one does the work and all hear that it is done",
    "[storage][S11]",
    TENON_STORAGE_BACKENDS
) {
    constexpr int k_threads = 8;
    constexpr int k_keys = 25;
    TestType backend;
    make_table(backend);
    std::atomic<int> failures{0};
    std::barrier start{k_threads};
    std::vector<std::thread> threads;
    for (int t = 0; t < k_threads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < k_keys; ++i) {
                start.arrive_and_wait();
                const std::string key = "key " + std::to_string(i);
                const std::uint32_t durability = static_cast<std::uint32_t>(t + i) % 3;
                try {
                    (void)backend.storage().transact(
                        options_of(backend, key, durability),
                        [&](Session& s) { put(s, i * k_threads + t, ""); }
                    );
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
    backend.storage().read(backend.deadline(), [&](Session& s) {
        auto q = s.prepare("SELECT count(*), count(DISTINCT id / 8) FROM k");
        REQUIRE(q.step());
        CHECK(q.integer(0) == k_keys);
        CHECK(q.integer(1) == k_keys);
    });
}
