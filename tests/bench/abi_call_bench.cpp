// SPDX-License-Identifier: Apache-2.0
// What a call through a contract costs over a virtual call of the same object in the same plugin,
// and what the exception guard costs. Every round runs every way, in an order that moves on by one.
// A forwarded call is one of a plugin whose code can be replaced while it is called.
//   abi_call_bench PLUGIN.so [rounds]
#include "sdk/forward/cell.hpp"
#include "tests/bench/abi_call/callee.hpp"

#include <tenon/cache_tier.hpp>
#include <tenon/throttle.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <functional>

namespace {

constexpr std::size_t k_pieces = 101;
constexpr std::uint64_t k_calls = 200'000;
constexpr std::uint64_t k_throws = 500;

// Keeps the compiler from knowing what a pointer points to, so that no call is made directly.
template <class T>
T* hidden(T* pointer) noexcept {
    asm volatile("" : "+r"(pointer));
    return pointer;
}

double thread_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

template <class Body>
double ns_per_call(std::uint64_t calls, Body body) {
    std::array<double, k_pieces> pieces{};
    for (double& piece : pieces) {
        const double start = thread_ns();
        for (std::uint64_t at = 0; at < calls; ++at) {
            body(at);
        }
        piece = (thread_ns() - start) / static_cast<double>(calls);
    }
    std::nth_element(pieces.begin(), pieces.begin() + k_pieces / 2, pieces.end());
    return pieces[k_pieces / 2];
}

tenon_plugin* load(const char* path) {
    void* library = ::dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void* symbol = library == nullptr ? nullptr : ::dlsym(library, TENON_ENTRY_SYMBOL);
    if (symbol == nullptr) {
        std::fprintf(stderr, "abi_call_bench: %s\n", ::dlerror());
        std::exit(1);
    }
    static const tenon_host host{
        sizeof(tenon_host), 0, nullptr, [](void*, tenon_str, tenon_iface*) -> tenon_status {
            return TENON_UNSUPPORTED;
        }};
    tenon_plugin* plugin = nullptr;
    const auto entry = reinterpret_cast<const tenon_entry* (*)()>(symbol)();
    if (entry->create(&host, &plugin, nullptr) != TENON_OK) {
        std::fprintf(stderr, "abi_call_bench: the plugin was not created\n");
        std::exit(1);
    }
    return plugin;
}

tenon_iface query(tenon_plugin* plugin, std::string_view id) {
    tenon_iface found{};
    if (plugin->vt->query(plugin, tenon::str(id), &found) != TENON_OK) {
        std::fprintf(stderr, "abi_call_bench: no %s\n", std::string{id}.c_str());
        std::exit(1);
    }
    return found;
}

struct Way {
    const char* name;
    std::function<double()> run;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: abi_call_bench PLUGIN.so [rounds]\n");
        return 2;
    }
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 10;
    tenon_plugin* plugin = load(argv[1]);
    const tenon_iface throttle = query(plugin, tenon::Throttle::k_id);
    const tenon_iface tier = query(plugin, tenon::CacheTier::k_id);
    const tenon_iface guard = query(plugin, tenon::bench::k_guard_id);
    // The facet's object is what the table calls: here the host calls it as C++ would.
    auto* throttle_object = hidden(static_cast<tenon::Throttle*>(throttle.self));
    auto* tier_object = hidden(static_cast<tenon::CacheTier*>(tier.self));
    const auto* throttle_table = hidden(static_cast<const tenon_throttle_1*>(throttle.vt));
    const auto* tier_table = hidden(static_cast<const tenon_cache_tier_1*>(tier.vt));
    const auto* guard_table = hidden(static_cast<const tenon::bench::GuardTable*>(guard.vt));
    const tenon_throttle_claim claim{0, 1, tenon::str("client")};
    const tenon_bytes key = tenon::bytes("balance:7");
    tenon::ErrorBuffer err;

    tenon::forward::Cell cell{"tenon.throttle/1"};
    cell.point(throttle);
    const tenon_iface forwarded = cell.iface();
    const auto* forwarded_table = hidden(static_cast<const tenon_throttle_1*>(forwarded.vt));

    const std::array<Way, 8> ways{{
        {"take_virtual",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t at) {
                 std::int64_t retry = 0;
                 (void)throttle_object->take({&claim, 1}, static_cast<std::int64_t>(at), retry);
             });
         }},
        {"take_contract",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t at) {
                 std::int64_t retry = 0;
                 (void)throttle_table->take(
                     throttle.self, &claim, 1, static_cast<std::int64_t>(at), &retry
                 );
             });
         }},
        {"erase_virtual",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t) {
                 (void)tier_object->erase(tenon::view(key));
             });
         }},
        {"erase_contract",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t) {
                 (void)tier_table->erase(tier.self, key, &err);
             });
         }},
        {"bare",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t at) {
                 (void)guard_table->bare(guard.self, at + 1, &err);
             });
         }},
        {"guarded",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t at) {
                 (void)guard_table->guarded(guard.self, at + 1, &err);
             });
         }},
        {"thrown",
         [&] {
             return ns_per_call(k_throws, [&](std::uint64_t at) {
                 (void)guard_table->thrown(guard.self, at, &err);
             });
         }},
        {"take_forwarded",
         [&] {
             return ns_per_call(k_calls, [&](std::uint64_t at) {
                 std::int64_t retry = 0;
                 (void)forwarded_table->take(
                     forwarded.self, &claim, 1, static_cast<std::int64_t>(at), &retry
                 );
             });
         }},
    }};

    for (int round = 1; round <= rounds; ++round) {
        std::array<double, 8> ns{};
        for (std::size_t step = 0; step < ways.size(); ++step) {
            const std::size_t at = (step + static_cast<std::size_t>(round)) % ways.size();
            ns[at] = ways[at].run();
        }
        std::printf("{\"round\":%d", round);
        for (std::size_t at = 0; at < ways.size(); ++at) {
            std::printf(",\"%s_ns\":%.2f", ways[at].name, ns[at]);
        }
        std::printf(
            ",\"take_over_virtual_ns\":%.2f,\"erase_over_virtual_ns\":%.2f,\"guard_ns\":%.2f,"
            "\"forward_ns\":%.2f}\n",
            ns[1] - ns[0],
            ns[3] - ns[2],
            ns[5] - ns[4],
            ns[7] - ns[1]
        );
    }
    plugin->vt->destroy(plugin);
    return 0;
}
