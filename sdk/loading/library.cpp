// SPDX-License-Identifier: Apache-2.0
#include "sdk/loading/library.hpp"

#include <tenon/plugin.hpp>

#include <dlfcn.h>

namespace tenon::loader {

namespace {

[[noreturn]] void refuse(std::string_view code, const std::string& message) {
    throw Error{TENON_UNSUPPORTED, std::string{code} + " " + message};
}

std::string abi_text(unsigned major, unsigned minor) {
    return std::to_string(major) + "." + std::to_string(minor);
}

}  // namespace

const tenon_entry* open_library(
    const manifest::PluginManifest& manifest,
    const std::function<void(const char* rule)>& before
) {
    before("L01");
    // Everything is bound now, so that a missing symbol is an error here and not a crash later.
    void* handle = ::dlopen(manifest.library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
        const char* reason = ::dlerror();
        refuse("L01", std::string{"the library does not open: "} + (reason ? reason : "unknown"));
    }
    using Entry = const tenon_entry* (*)();
    const auto entry_point = reinterpret_cast<Entry>(::dlsym(handle, TENON_ENTRY_SYMBOL));
    if (entry_point == nullptr) {
        refuse("L02", "the library has no symbol " TENON_ENTRY_SYMBOL);
    }
    before("L03");
    const tenon_entry* entry = entry_point();
    if (entry == nullptr || entry->magic != TENON_MAGIC || !TENON_HAS(entry, tenon_entry, create)) {
        refuse("L03", "the entry is not one of this host's: wrong magic, size or no create");
    }
    // A newer or older minor version is no obstacle: each side reads what the other's sizes cover.
    if (entry->abi_major != TENON_ABI_MAJOR) {
        refuse(
            "L04",
            "built for ABI " + abi_text(entry->abi_major, entry->abi_minor) + ", this host has " +
                abi_text(TENON_ABI_MAJOR, TENON_ABI_MINOR)
        );
    }
    if (view(entry->id) != manifest.id || view(entry->version) != manifest.version) {
        refuse(
            "L05",
            "the library says that it is " + std::string{view(entry->id)} + " " +
                std::string{view(entry->version)} + ", the manifest " + manifest.id + " " +
                manifest.version
        );
    }
    return entry;
}

}  // namespace tenon::loader
