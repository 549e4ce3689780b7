// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/library.hpp"

#include "sdk/conformance/host/account.hpp"

#include <dlfcn.h>

namespace tenon::conformance {

bool Library::usable() const {
    return entry != nullptr && entry->magic == TENON_MAGIC &&
           entry->size >= offsetof(tenon_entry, create) + sizeof entry->create &&
           entry->create != nullptr && entry->abi_major == TENON_ABI_MAJOR;
}

Library open_library(const std::filesystem::path& file) {
    Library library;
    library.handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library.handle == nullptr) {
        const char* const reason = ::dlerror();
        library.error = reason == nullptr ? "unknown reason" : reason;
        return library;
    }
    library.entry_point =
        reinterpret_cast<const tenon_entry* (*)()>(::dlsym(library.handle, TENON_ENTRY_SYMBOL));
    if (library.entry_point == nullptr) {
        library.error = "no symbol " TENON_ENTRY_SYMBOL;
        return library;
    }
    const PluginScope scope;
    library.entry = library.entry_point();
    return library;
}

}  // namespace tenon::conformance
