// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/cluster/addresses.hpp"

#include <tenon/storage.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <netdb.h>

using namespace tenon::postgres;

namespace {

std::atomic<int> begun{0};

using Keywords = std::vector<std::pair<std::string, std::string>>;

Keywords found(const Keywords& keywords, std::int64_t deadline_ns = 1'000'000'000) {
    std::int64_t clock_ns = 0;
    return addresses_of(keywords, deadline_ns, [&] { return clock_ns += 100'000'000; });
}

}  // namespace

// A resolver that knows one name, and never answers for any other.
extern "C" int getaddrinfo_a(int, gaicb* list[], int, sigevent*) {
    ++begun;
    if (std::string{list[0]->ar_name} == "known.example") {
        addrinfo hints{};
        hints.ai_flags = AI_NUMERICHOST;
        list[0]->__return = ::getaddrinfo("192.0.2.7", nullptr, &hints, &list[0]->ar_result);
    } else {
        list[0]->__return = EAI_INPROGRESS;
    }
    return 0;
}

TEST_CASE("a name is given to libpq with its address, once each", "[postgres][S2]") {
    const Keywords keywords = found({{"host", "known.example"}, {"port", "1"}});
    CHECK(keywords == Keywords{{"host", "known.example"}, {"hostaddr", "192.0.2.7"}});
}

TEST_CASE("what is no name is not looked up", "[postgres][S2]") {
    const int before = begun;
    CHECK(found({}).empty());
    CHECK(found({{"host", "/var/run/postgresql"}}).empty());
    CHECK(found({{"host", "10.0.0.1"}}).empty());
    CHECK(found({{"host", "fe80::1"}}).empty());
    CHECK(found({{"host", "known.example"}, {"hostaddr", "10.0.0.1"}}).empty());
    CHECK(found({{"service", "main"}}).empty());
    CHECK(begun == before);
}

TEST_CASE("a resolver that does not answer is waited for until the deadline", "[postgres][S2]") {
    const int before = begun;
    for (int i = 0; i < 3; ++i) {
        try {
            (void)found({{"host", "silent.example"}});
            FAIL("resolved");
        } catch (const tenon::StorageError& e) {
            CHECK(e.failure() == tenon::Failure::other_host);
            CHECK_THAT(e.what(), Catch::Contains("silent.example was not resolved in time"));
        }
    }
    CHECK(begun == before + 1);  // the look-ups that go on are no more than the names
}
