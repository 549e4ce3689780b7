// SPDX-License-Identifier: Apache-2.0
// An entry with one thing wrong, chosen when it is compiled.
#include <tenon/abi/base.h>

#ifndef WRONG_MAGIC
#define WRONG_MAGIC TENON_MAGIC
#endif
#ifndef WRONG_MAJOR
#define WRONG_MAJOR TENON_ABI_MAJOR
#endif
#ifndef OTHER_MINOR
#define OTHER_MINOR TENON_ABI_MINOR
#endif
#ifndef WRONG_ID
#define WRONG_ID "test.kernel.entry"
#endif

namespace {

tenon_status create(const tenon_host*, tenon_plugin**, tenon_err*) {
    return TENON_UNSUPPORTED;
}

const tenon_entry k_entry{
    WRONG_MAGIC,
    sizeof(tenon_entry),
    WRONG_MAJOR,
    OTHER_MINOR,
    0,
    {WRONG_ID, sizeof WRONG_ID - 1},
    {"0.1.0", 5},
    {"", 0},
    &create};

}  // namespace

#ifndef NO_SYMBOL
extern "C" __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1() {
    return &k_entry;
}
#else
extern "C" __attribute__((visibility("default"))) const tenon_entry* some_other_symbol() {
    return &k_entry;
}
#endif
