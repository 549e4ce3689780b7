// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/checks/all.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/process_state.hpp"

#include <ctime>

namespace tenon::conformance {
namespace {

// Opened without a judgement of the entry; the check is skipped when dlopen fails.
Library opened(Context& check) {
    const Library library = open_library(check.manifest().library);
    if (library.handle == nullptr) {
        Context::skip("the library does not open; see load.opens");
    }
    return library;
}

void opens(Context& check) {
    const Library library = open_library(check.manifest().library);
    check.require(library.handle != nullptr, "L01 the library does not open: " + library.error);
}

void has_symbol(Context& check) {
    const Library library = opened(check);
    check.require(library.entry_point != nullptr, "L02 " + library.error);
    check.require(library.entry != nullptr, "L02 the entry function gave NULL");
}

void entry_fits(Context& check) {
    const Library library = opened(check);
    if (library.entry == nullptr) {
        Context::skip("there is no entry; see load.symbol");
    }
    const tenon_entry& entry = *library.entry;
    check.require(entry.magic == TENON_MAGIC, "L03 wrong magic " + std::to_string(entry.magic));
    check.require(
        entry.size >= sizeof(tenon_entry),
        "L03 the entry's size is " + std::to_string(entry.size) + ", that of ABI 1.0 is " +
            std::to_string(sizeof(tenon_entry))
    );
    check.expect(entry.create != nullptr, "L03 the entry has no create");
    check.expect(
        entry.abi_major == TENON_ABI_MAJOR,
        "L04 built for ABI " + std::to_string(entry.abi_major) + "." +
            std::to_string(entry.abi_minor) + ", this kit has " + std::to_string(TENON_ABI_MAJOR) +
            "." + std::to_string(TENON_ABI_MINOR)
    );
    check.expect(!view(entry.build).empty(), "the entry does not say which compiler built it");
}

void identity_matches(Context& check) {
    const tenon_entry& entry = *check.library().entry;
    check.expect(
        view(entry.id) == check.manifest().id,
        "L05 the library says that it is \"" + std::string{view(entry.id)} + "\", the manifest \"" +
            check.manifest().id + "\""
    );
    check.expect(
        view(entry.version) == check.manifest().version,
        "L05 the library has version \"" + std::string{view(entry.version)} +
            "\", the manifest \"" + check.manifest().version + "\""
    );
}

void entry_is_stable(Context& check) {
    const Library& library = check.library();
    check.expect(
        library.entry_point() == library.entry,
        "the entry function gave another pointer at its second call"
    );
}

void fast(Context& check) {
    const auto began = std::chrono::steady_clock::now();
    (void)check.library();
    const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - began
    );
    constexpr std::int64_t k_limit_ms = 100;
    check.note("loaded in " + std::to_string(elapsed.count()) + " ms");
    // Processor time, so that a busy machine is no fault of the plugin.
    timespec used{};
    (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const std::int64_t used_ms = used.tv_sec * 1000 + used.tv_nsec / 1'000'000;
    check.expect(
        elapsed.count() < k_limit_ms || used_ms < k_limit_ms,
        "opening takes " + std::to_string(elapsed.count()) + " ms, the limit is 100 ms"
    );
}

void no_threads(Context& check) {
    const ProcessState before = process_state();
    (void)check.library();
    const std::string added = before.new_threads(process_state());
    check.expect(added.empty(), "opening started threads: " + added);
}

void no_fds(Context& check) {
    const ProcessState before = process_state();
    (void)check.library();
    const std::string added = before.new_fds(process_state());
    check.expect(added.empty(), "opening left file descriptors open: " + added);
}

void silent(Context& check) {
    const ProcessState before = process_state();
    (void)check.library();
    check.expect(
        process_state().output_bytes == before.output_bytes,
        "opening wrote to standard output or error"
    );
}

void no_settings(Context& check) {
    const ProcessState before = process_state();
    (void)check.library();
    const std::string changed = before.changed_settings(process_state());
    check.expect(changed.empty(), "opening changed settings of the process: " + changed);
}

void second_copy(Context& check) {
    const Library& first = check.library();
    const std::filesystem::path copy = check.folder() / "copy.so";
    std::filesystem::copy_file(check.manifest().library, copy);
    const Library second = open_library(copy);
    check.require(second.usable(), "a second copy does not open beside the first: " + second.error);
    check.expect(
        second.entry != first.entry, "the second copy has the first one's entry: symbols are shared"
    );
    check.expect(view(second.entry->id) == view(first.entry->id), "the second copy has another id");
}

constexpr Check k_checks[] = {
    {"load.opens", "opens with RTLD_NOW: no symbol is missing (L01)", "", &opens},
    {"load.symbol", "exports tenon_plugin_entry_v1, which gives an entry (L02)", "", &has_symbol},
    {"load.entry",
     "the entry has this ABI's magic, size and major version (L03, L04)",
     "",
     &entry_fits},
    {"load.identity", "id and version are the manifest's (L05)", "", &identity_matches},
    {"load.stable", "the entry function gives the same pointer each time", "", &entry_is_stable},
    {"load.fast", "opens within 100 ms", "", &fast},
    {"load.threads", "opening starts no thread", "", &no_threads},
    {"load.fds", "opening leaves no file descriptor open", "", &no_fds},
    {"load.silent", "opening writes nothing to standard output and error", "", &silent},
    {"load.settings",
     "opening leaves locale, signals, umask, folder and FP mode alone",
     "",
     &no_settings},
    {"load.copy",
     "a copy of the file opens beside the first and is a plugin of its own",
     "",
     &second_copy},
};

}  // namespace

std::span<const Check> load_checks() {
    return k_checks;
}

}  // namespace tenon::conformance
