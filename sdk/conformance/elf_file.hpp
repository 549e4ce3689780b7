// SPDX-License-Identifier: Apache-2.0
// What the static checks want to know of a shared library, read with libelf; nothing is loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace tenon::conformance {

struct ElfFile {
    std::string error;  // not ELF, or damaged; then nothing else is filled
    bool is_64_bit = false;
    bool is_shared = false;
    std::uint16_t machine = 0;      // EM_X86_64 and so on
    std::uint16_t own_machine = 0;  // of this program
    bool executable_stack = false;
    bool text_relocations = false;
    bool relro = false;
    bool no_delete = false;
    std::string run_path;  // DT_RPATH or DT_RUNPATH
    std::vector<std::string> needed;
    std::set<std::string> exported;   // defined, global or weak, visible
    std::set<std::string> undefined;  // strong ones
    std::set<std::string> unique;     // STB_GNU_UNIQUE
    std::set<std::string> versions;   // GLIBC_2.34, GLIBCXX_3.4.29, …

    [[nodiscard]] bool good() const { return error.empty(); }
};

[[nodiscard]] ElfFile read_elf(const std::filesystem::path& file);

// The newest of PREFIX_… among the versions, or "".
[[nodiscard]] std::string newest_version(const ElfFile& elf, const std::string& prefix);

// Those of `elf.undefined` that no library of `elf.needed`, nor what these need, defines. Libraries
// are looked for where the dynamic linker would, without LD_LIBRARY_PATH.
[[nodiscard]] std::vector<std::string> unresolved(const ElfFile& elf);

}  // namespace tenon::conformance
