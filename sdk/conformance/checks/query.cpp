// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/interfaces.hpp"

#include <algorithm>
#include <atomic>

namespace tenon::conformance {
namespace {

int g_mark_self = 0;
int g_mark_table = 0;

tenon_iface marked() {
    return {&g_mark_self, &g_mark_table};
}

// TENON_UNSUPPORTED, and `out` as it was.
void expect_unknown(Context& check, Instance& plugin, std::string_view id) {
    tenon_iface out = marked();
    const tenon_status status = plugin.query(id, &out);
    const std::string quoted = "query of \"" + std::string{id.substr(0, 60)} + "\"";
    check.expect(
        status == TENON_UNSUPPORTED,
        quoted + " answers " + status_text(status) + ", not TENON_UNSUPPORTED"
    );
    check.expect(
        out.self == &g_mark_self && out.vt == &g_mark_table, quoted + " failed and changed `out`"
    );
}

const std::vector<manifest::Provision>& provisions(Context& check) {
    if (check.manifest().provides.empty()) {
        Context::skip("the plugin provides no interface");
    }
    return check.manifest().provides;
}

// Only what the plugin gives: query.provides tells what is missing.
std::vector<std::pair<std::string, tenon_iface>> given(Context& check, Instance& plugin) {
    std::vector<std::pair<std::string, tenon_iface>> found;
    for (const manifest::Provision& provision : provisions(check)) {
        tenon_iface iface{};
        if (plugin.query(provision.interface_id, &iface) == TENON_OK && iface.vt != nullptr) {
            found.emplace_back(provision.interface_id, iface);
        }
    }
    return found;
}

void unknown_ids(Context& check) {
    Instance& plugin = check.configured();
    expect_unknown(check, plugin, "tenon.no_such_interface/1");
    expect_unknown(check, plugin, "org.example.unknown/7");
}

void similar_ids(Context& check) {
    Instance& plugin = check.configured();
    for (const manifest::Provision& provision : check.manifest().provides) {
        const std::string& id = provision.interface_id;
        expect_unknown(check, plugin, id + "0");
        expect_unknown(check, plugin, id + std::string(1, '\0'));
        expect_unknown(check, plugin, id.substr(0, id.size() - 1));
        expect_unknown(check, plugin, id.substr(0, id.find('/')));
        std::string upper = id;
        upper.front() = static_cast<char>(upper.front() - 'a' + 'A');
        expect_unknown(check, plugin, upper);
    }
    expect_unknown(check, plugin, std::string(10'000, 'x'));
}

void empty_ids(Context& check) {
    Instance& plugin = check.configured();
    expect_unknown(check, plugin, "");
    expect_unknown(check, plugin, std::string_view{nullptr, 0});
}

void gives_what_it_provides(Context& check) {
    Instance& plugin = check.configured();
    for (const manifest::Provision& provision : provisions(check)) {
        tenon_iface iface{};
        const tenon_status status = plugin.query(provision.interface_id, &iface);
        check.expect(
            status == TENON_OK && iface.vt != nullptr,
            "L06 query of " + provision.interface_id + ", which the manifest provides, answers " +
                status_text(status)
        );
    }
}

void tables_are_long_enough(Context& check) {
    Instance& plugin = check.configured();
    for (const auto& [id, iface] : given(check, plugin)) {
        const KnownInterface* const known = known_interface(id);
        const auto size = *static_cast<const std::uint32_t*>(iface.vt);
        const std::uint32_t least =
            known == nullptr ? 2 * sizeof(std::uint32_t) : known->first_size;
        check.expect(
            size >= least,
            "the table of " + id + " says that it has " + std::to_string(size) +
                " bytes, revision 1 has " + std::to_string(least)
        );
        if (known == nullptr) {
            check.note(id + " is not one of Tenon's contracts: its slots are not checked");
        }
    }
}

void slots_are_set(Context& check) {
    Instance& plugin = check.configured();
    for (const auto& [id, iface] : given(check, plugin)) {
        const KnownInterface* const known = known_interface(id);
        const auto size = *static_cast<const std::uint32_t*>(iface.vt);
        if (known == nullptr) {
            continue;
        }
        const std::uint32_t end = std::min(size, known->first_size);
        for (std::uint32_t at = 8; at + sizeof(void*) <= end; at += sizeof(void*)) {
            const void* slot = nullptr;
            std::memcpy(&slot, static_cast<const char*>(iface.vt) + at, sizeof slot);
            const bool optional = std::find(known->optional.begin(), known->optional.end(), at) !=
                                  known->optional.end();
            check.expect(
                slot != nullptr || optional,
                "the table of " + id + " has NULL in its slot at byte " + std::to_string(at)
            );
        }
    }
}

void pointers_are_stable(Context& check) {
    Instance& plugin = check.configured();
    const auto before = given(check, plugin);
    const auto compare = [&](const char* when) {
        for (const auto& [id, iface] : before) {
            tenon_iface again{};
            (void)plugin.query(id, &again);
            check.expect(
                again.self == iface.self && again.vt == iface.vt,
                "query of " + id + " gives another pair " + when
            );
        }
    };
    compare("at its second call");
    if (!plugin.start().ok()) {
        Context::skip("start failed; see lifecycle.start");
    }
    compare("after start");
    plugin.stop();
    compare("after stop");
}

void from_many_threads(Context& check) {
    Instance& plugin = check.configured();
    const auto before = given(check, plugin);
    std::atomic<int> wrong{0};
    constexpr std::size_t k_threads = 8;
    constexpr int k_rounds = 2000;
    Context::in_parallel(k_threads, [&](std::size_t) {
        for (int i = 0; i < k_rounds; ++i) {
            for (const auto& [id, iface] : before) {
                tenon_iface again{};
                const bool same = plugin.query(id, &again) == TENON_OK &&
                                  again.self == iface.self && again.vt == iface.vt;
                wrong += same ? 0 : 1;
            }
            tenon_iface out{};
            wrong += plugin.query("org.example.unknown/1", &out) == TENON_UNSUPPORTED ? 0 : 1;
        }
    });
    check.expect(
        wrong == 0,
        std::to_string(wrong) + " answers of query from 8 threads were not the usual one"
    );
}

constexpr Check k_checks[] = {
    {"query.unknown",
     "an unknown id is TENON_UNSUPPORTED and leaves `out` alone",
     "",
     &unknown_ids},
    {"query.similar",
     "a longer, shorter or upper-case id is as unknown as any other",
     "",
     &similar_ids},
    {"query.empty", "an empty id is unknown, also with a NULL pointer", "", &empty_ids},
    {"query.provides",
     "gives every interface that the manifest provides (L06)",
     "",
     &gives_what_it_provides},
    {"query.size", "tables are as long as their first revision", "", &tables_are_long_enough},
    {"query.slots", "no slot of the first revision is NULL unless it may be", "", &slots_are_set},
    {"query.stable", "gives the same pair until destroy", "", &pointers_are_stable},
    {"query.threads", "answers 8 threads at once", "", &from_many_threads},
};

}  // namespace

std::span<const Check> query_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
