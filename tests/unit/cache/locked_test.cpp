// SPDX-License-Identifier: Apache-2.0
#include "plugins/cache/stack/locked_store.hpp"
#include "tests/unit/cache/stack_fixture.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>

using tenon::cache_stack::LockedStore;
using tenon::test::MapTier;
using tenon::test::StackFixture;

namespace {

constexpr std::string_view k_settings = R"({
    "default_ttl_ms":300000,"default_negative_ttl_ms":5000,"refresh_timeout_ms":1000,
    "sweep_interval_ms":300000,
    "caches":[{"name":"credentials","ttl_ms":60000,"locked":true}],
    "events":[{"event":"credentials_changed","caches":["credentials"]}]})";

// How often the text is in writable memory of this process. The needle is put together in place,
// so that it is not itself found.
int count_in_memory(const std::string& half, const std::string& other_half) {
    std::ifstream maps{"/proc/self/maps"};
    std::ifstream memory{"/proc/self/mem", std::ios::binary};
    int count = 0;
    std::string line;
    static std::string block;  // its own pages are skipped below
    while (std::getline(maps, line)) {
        unsigned long begin = 0;
        unsigned long end = 0;
        char access[5] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access) != 3 ||
            std::string_view{access}.substr(0, 2) != "rw" || end - begin > (64UL << 20)) {
            continue;
        }
        block.resize(end - begin);
        memory.clear();
        memory.seekg(static_cast<std::streamoff>(begin));
        memory.read(block.data(), static_cast<std::streamsize>(block.size()));
        const auto got = static_cast<std::size_t>(memory.gcount());
        const auto own = reinterpret_cast<unsigned long>(block.data());
        for (std::size_t at = block.find(half); at < got; at = block.find(half, at + 1)) {
            const unsigned long address = begin + at;
            const bool mine = address >= own && address < own + block.capacity();
            if (!mine && block.compare(at + half.size(), other_half.size(), other_half) == 0) {
                ++count;
            }
        }
        std::fill(block.begin(), block.end(), '\0');
    }
    return count;
}

}  // namespace

TEST_CASE(
    "locked entries go by time, by key and by room, the first to expire first",
    "[cache][C1]"
) {
    LockedStore store;
    REQUIRE(store.ready());
    CHECK(store.put("a", "one", 0, 10));
    CHECK(store.get("a", 9)->data == "one");
    CHECK(store.get("a", 9)->expires_ns == 10);
    CHECK_FALSE(store.get("a", 10));
    CHECK(store.size() == 0);
    CHECK(store.put("a", "one", 0, 10));
    CHECK_FALSE(store.put("a", std::string(LockedStore::k_slot_bytes + 1, 'x'), 0, 10));
    CHECK_FALSE(store.get("a", 0));
    for (std::size_t i = 0; i <= LockedStore::k_slots; ++i) {
        CHECK(store.put("k" + std::to_string(i), "v", 0, 100 + static_cast<std::int64_t>(i)));
    }
    CHECK(store.size() == LockedStore::k_slots);
    CHECK_FALSE(store.get("k0", 0));
    CHECK(store.get("k1", 0)->data == "v");
    store.drop_unwanted(0, [](std::string_view key, std::string_view) { return key == "k1"; });
    CHECK(store.size() == 1);
    store.erase("k1");
    CHECK(store.size() == 0);
}

TEST_CASE("a locked cache is in no tier, and gone by event", "[cache][C1][C3]") {
    StackFixture f;
    f.settings.configure(k_settings, false);
    MapTier memory;
    MapTier disk{true};
    f.add(memory, "memory");
    f.add(disk, "disk");
    const StackFixture::Loader key = [&](std::string& out, tenon_cache_keep& keep) {
        static const tenon_str tag = tenon::str("user:7");
        ++f.loads;
        keep.tags = &tag;
        keep.tag_count = 1;
        out = "secret " + std::to_string(f.loads.load());
        return TENON_OK;
    };
    CHECK(f.fetch("credentials", "u7", key).value == "secret 1");
    CHECK(f.fetch("credentials", "u7", key).value == "secret 1");
    CHECK(f.get("credentials", "u7").how.source == TENON_CACHE_HIT);
    f.stack->event("credentials_changed", "user:7");
    CHECK(f.get("credentials", "u7").status == TENON_NOT_FOUND);
    CHECK(f.fetch("credentials", "u7", key).value == "secret 2");
    f.pass(60);
    CHECK(f.get("credentials", "u7").status == TENON_NOT_FOUND);
    f.stack->put(f.stack->open("credentials"), "u8", "secret put", nullptr);
    CHECK(f.get("credentials", "u8").value == "secret put");
    f.stack->erase(f.stack->open("credentials"), "u8");
    CHECK(f.get("credentials", "u8").status == TENON_NOT_FOUND);
    CHECK(memory.entries.empty());
    CHECK(disk.entries.empty());
    CHECK(disk.gets == 0);
    CHECK_THROWS_AS(
        f.settings.configure(
            R"({"default_ttl_ms":1,"default_negative_ttl_ms":0,"refresh_timeout_ms":1,
                "sweep_interval_ms":100,"events":[],
                "caches":[{"name":"c","ttl_ms":1,"locked":true,"consistency":"strict"}]})",
            true
        ),
        tenon::Error
    );
}

TEST_CASE("what a locked cache kept is nowhere in memory once it is erased", "[cache][C1]") {
    StackFixture f;
    f.settings.configure(k_settings, false);
    const std::string half = "needle-of-";
    const std::string other = "the-credentials-cache";
    const auto loader = [](void* ctx, std::int64_t, tenon_sink out, tenon_cache_keep*, tenon_err*) {
        // In pieces, as they are not to be in memory together but where they are kept.
        const auto& halves = *static_cast<std::pair<std::string, std::string>*>(ctx);
        (void)out.put(out.ctx, tenon::bytes(halves.first));
        return out.put(out.ctx, tenon::bytes(halves.second));
    };
    std::pair halves{half, other};
    auto request = tenon::sized<tenon_cache_request>();
    request.cache = f.stack->open("credentials");
    request.key = tenon::bytes("u7");
    request.deadline_ns = INT64_MAX / 2;
    request.ctx = &halves;
    request.load = loader;
    const tenon_sink nowhere{nullptr, [](void*, tenon_bytes) { return tenon_status{TENON_OK}; }};
    auto answer = tenon::sized<tenon_cache_answer>();
    for (int i = 0; i < 2; ++i) {
        REQUIRE(f.stack->fetch(request, nowhere, answer, nullptr) == TENON_OK);
    }
    CHECK(answer.source == TENON_CACHE_HIT);
    CHECK(count_in_memory(half, other) == 1);
    f.stack->erase(request.cache, "u7");
    CHECK(count_in_memory(half, other) == 0);
}
