// SPDX-License-Identifier: Apache-2.0
// A plugin that does one wrong thing in its constructors, its entry or create, chosen when it is
// compiled.
#include <tenon/abi/base.h>

#include <cstdlib>
#include <type_traits>
#include <unistd.h>

#ifndef ROGUE_CONSTRUCTOR
#define ROGUE_CONSTRUCTOR nothing
#endif
#ifndef ROGUE_ENTRY
#define ROGUE_ENTRY nothing
#endif
#ifndef ROGUE_CREATE
#define ROGUE_CREATE nothing
#endif

namespace {

[[maybe_unused]] void nothing() {}

[[maybe_unused]] void crash() {
    volatile int* volatile nowhere = nullptr;
    *nowhere = 1;
}

[[maybe_unused]] void hang() {
    for (;;) {
        ::pause();
    }
}

[[maybe_unused]] void leave() {
    std::exit(0);
}

[[maybe_unused]] tenon_plugin* gaps() {
    static constexpr tenon_plugin_vt k_table{sizeof(tenon_plugin_vt), 0, {}, {}, {}, {}, {}, {}};
    static tenon_plugin plugin{&k_table};
    return &plugin;
}

struct Constructed {
    Constructed() { ROGUE_CONSTRUCTOR(); }
};

const Constructed k_constructed;

template <class Result>
tenon_plugin* made(Result (*make)()) {
    if constexpr (std::is_void_v<Result>) {
        make();
        return nullptr;
    } else {
        return make();
    }
}

tenon_status create(const tenon_host*, tenon_plugin** out, tenon_err*) {
    *out = made(&ROGUE_CREATE);
    return TENON_OK;
}

const tenon_entry k_entry{
    TENON_MAGIC,
    sizeof(tenon_entry),
    TENON_ABI_MAJOR,
    TENON_ABI_MINOR,
    0,
    {ROGUE_ID, sizeof ROGUE_ID - 1},
    {"0.1.0", 5},
    {"", 0},
    &create};

}  // namespace

extern "C" __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1() {
    ROGUE_ENTRY();
    return &k_entry;
}
