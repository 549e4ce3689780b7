// SPDX-License-Identifier: Apache-2.0
// Manifest and file, without opening the library.
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/elf_file.hpp"
#include "sdk/manifest/schema.hpp"

#include <algorithm>
#include <array>

namespace tenon::conformance {
namespace {

std::string joined(const auto& words, std::size_t most = 8) {
    std::string text;
    std::size_t count = 0;
    for (const std::string& word : words) {
        if (count++ == most) {
            return text + ", …";
        }
        text.append(text.empty() ? "" : ", ").append(word);
    }
    return text;
}

ElfFile elf_of(Context& check) {
    ElfFile elf = read_elf(check.manifest().library);
    if (!elf.good()) {
        Context::skip("the library is not ELF; see static.elf");
    }
    return elf;
}

void manifest_is_right(Context& check) {
    for (const manifest::Problem& problem : check.manifest().problems) {
        if (problem.warning) {
            check.warn(manifest::to_text(problem));
        } else {
            check.fail(manifest::to_text(problem));
        }
    }
}

void library_is_right(Context& check) {
    manifest::Problems problems;
    manifest::Report report{check.manifest().file.string(), problems};
    manifest::check_library(check.manifest(), {check.manifest().library.parent_path()}, report);
    for (const manifest::Problem& problem : problems) {
        check.fail(manifest::to_text(problem));
    }
    if (check.manifest().sha256.empty()) {
        check.warn("M08 the manifest has no library.sha256: a changed file goes unnoticed");
    }
}

void settings_are_described(Context& check) {
    manifest::Problems problems;
    manifest::Report report{check.manifest().file.string(), problems};
    manifest::check_descriptions(check.manifest().config_schema, "/config_schema", report);
    for (const manifest::Problem& problem : problems) {
        check.fail(manifest::to_text(problem));
    }
}

void is_elf(Context& check) {
    const ElfFile elf = read_elf(check.manifest().library);
    check.require(elf.good(), "the library: " + elf.error);
    check.expect(elf.is_64_bit, "the library is not a 64-bit one");
    check.expect(elf.is_shared, "the library is not a shared object");
    check.expect(
        elf.machine == elf.own_machine,
        "the library is for machine " + std::to_string(elf.machine) + ", this one is " +
            std::to_string(elf.own_machine)
    );
}

// Names whose export takes over the host's or another plugin's own.
bool is_dangerous(std::string_view name) {
    static constexpr std::array<std::string_view, 18> k_prefixes = {
        "_Znw",
        "_Zna",
        "_Zdl",
        "_Zda",
        "malloc",
        "calloc",
        "realloc",
        "free",
        "posix_memalign",
        "aligned_alloc",
        "SSL_",
        "EVP_",
        "OPENSSL_",
        "CRYPTO_",
        "_ZN5boost",
        "_ZNK5boost",
        "sqlite3_",
        "ZSTD_"};
    return std::any_of(k_prefixes.begin(), k_prefixes.end(), [&](std::string_view prefix) {
        return name.starts_with(prefix);
    });
}

void exports_entry_only(Context& check) {
    const ElfFile elf = elf_of(check);
    std::vector<std::string> extra;
    for (const std::string& name : elf.exported) {
        // what belongs to static.foreign or static.unique is told there
        if (name != TENON_ENTRY_SYMBOL && !is_dangerous(name) && !elf.unique.contains(name)) {
            extra.push_back(name);
        }
    }
    check.expect(
        extra.empty(),
        "exports more than " TENON_ENTRY_SYMBOL ": " + joined(extra) +
            " (link with the SDK's version script)"
    );
}

void exports_nothing_foreign(Context& check) {
    const ElfFile elf = elf_of(check);
    std::vector<std::string> found;
    std::copy_if(elf.exported.begin(), elf.exported.end(), std::back_inserter(found), is_dangerous);
    check.expect(found.empty(), "exports names that belong to others: " + joined(found));
}

void has_no_unique(Context& check) {
    const ElfFile elf = elf_of(check);
    check.expect(
        elf.unique.empty(),
        "has GNU_UNIQUE symbols, which are shared between plugins: " + joined(elf.unique) +
            " (-fno-gnu-unique, version script)"
    );
}

void resolves(Context& check) {
    const ElfFile elf = elf_of(check);
    std::vector<std::string> missing = unresolved(elf);
    // A sanitizer's run time is in the program, not in a library.
    std::erase_if(missing, [](const std::string& name) {
        return name.starts_with("__asan_") || name.starts_with("__ubsan_") ||
               name.starts_with("__tsan_") || name.starts_with("__sanitizer_");
    });
    check.expect(
        missing.empty(),
        "needs symbols that none of its libraries has: " + joined(missing) + " (-Wl,-z,defs)"
    );
}

void tells_needs(Context& check) {
    const ElfFile elf = elf_of(check);
    check.note("needs " + (elf.needed.empty() ? "no library" : joined(elf.needed, 32)));
    for (const char* const prefix : {"GLIBC_", "GLIBCXX_", "CXXABI_"}) {
        const std::string newest = newest_version(elf, prefix);
        if (!newest.empty()) {
            check.note("newest version needed: " + newest);
        }
    }
}

void has_no_text_relocations(Context& check) {
    check.expect(!elf_of(check).text_relocations, "has text relocations (-fPIC)");
}

void has_plain_stack(Context& check) {
    check.expect(
        !elf_of(check).executable_stack, "asks for an executable stack (-Wl,-z,noexecstack)"
    );
}

void has_relro(Context& check) {
    check.expect(elf_of(check).relro, "has no RELRO segment (-Wl,-z,relro)");
}

void has_no_run_path(Context& check) {
    const ElfFile elf = elf_of(check);
    check.expect(elf.run_path.empty(), "has DT_RPATH or DT_RUNPATH " + elf.run_path);
}

void stays_mapped(Context& check) {
    check.expect(elf_of(check).no_delete, "is not marked NODELETE (-Wl,-z,nodelete)");
}

constexpr Check k_checks[] = {
    {"static.manifest", "the manifest keeps rules M01 to M07, M17 and M19", "", &manifest_is_right},
    {"static.library",
     "the file is the manifest's, and its owner's alone (M08, M09)",
     "",
     &library_is_right},
    {"static.descriptions", "every setting has a description (M20)", "", &settings_are_described},
    {"static.elf", "is a shared object for this machine", "", &is_elf},
    {"static.exports", "exports the entry symbol and nothing else", "", &exports_entry_only},
    {"static.foreign",
     "exports no allocation function and no name of a common library",
     "",
     &exports_nothing_foreign},
    {"static.unique", "has no GNU_UNIQUE symbol", "", &has_no_unique},
    {"static.undefined", "needs no symbol that its own libraries do not have", "", &resolves},
    {"static.needs",
     "reports its libraries and the newest versions that it needs",
     "",
     &tells_needs,
     false,
     true},
    {"static.textrel", "has no text relocation", "", &has_no_text_relocations},
    {"static.stack", "has no executable stack", "", &has_plain_stack},
    {"static.relro", "has a RELRO segment", "", &has_relro},
    {"static.rpath", "has no run path", "", &has_no_run_path},
    {"static.nodelete", "is marked NODELETE", "", &stays_mapped},
};

}  // namespace

std::span<const Check> static_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
