// SPDX-License-Identifier: Apache-2.0
// A plugin's library, opened as the kernel does and never closed.
#pragma once

#include <tenon/abi/base.h>

#include <filesystem>
#include <string>

namespace tenon::conformance {

struct Library {
    void* handle = nullptr;
    const tenon_entry* (*entry_point)() = nullptr;
    const tenon_entry* entry = nullptr;
    std::string error;  // of dlopen or dlsym

    // The entry has this host's magic, a size that reaches `create`, and this major version.
    [[nodiscard]] bool usable() const;
};

// RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE. Fills what could be had.
[[nodiscard]] Library open_library(const std::filesystem::path& file);

}  // namespace tenon::conformance
