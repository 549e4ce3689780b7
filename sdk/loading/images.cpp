// SPDX-License-Identifier: Apache-2.0
#include "sdk/loading/images.hpp"

#include "sdk/loading/scan.hpp"

#include <tenon/plugin.hpp>

namespace tenon::loader {

namespace fs = std::filesystem;

namespace {

// What the file is, as its manifest would have to say.
std::string hash_of(const manifest::PluginManifest& manifest) {
    manifest::Problems problems;
    manifest::Report report{manifest.library.string(), problems};
    return manifest::check_library(manifest, {manifest.library.parent_path()}, report);
}

}  // namespace

Images::Images(const fs::path& data_dir) : folder_{data_dir / "images"} {
    std::error_code ec;
    (void)fs::remove_all(folder_, ec);
}

manifest::PluginManifest
Images::take(const std::string& instance, const manifest::PluginManifest& manifest) const {
    std::size_t mapped = 0;
    for (const auto& [name, hashes] : known_) {
        mapped += hashes.size() - 1;
    }
    manifest::PluginManifest out = manifest;
    out.sha256 = hash_of(manifest);
    const auto mine = known_.find(instance);
    const bool known = mine != known_.end() && mine->second.contains(out.sha256);
    if (!known && mapped >= k_mapped_max) {
        throw Error{
            TENON_LIMITED,
            std::to_string(mapped) + " replaced libraries are still mapped, at most " +
                std::to_string(k_mapped_max) + " may be: restart the server"};
    }
    out.library = folder_ / (out.sha256 + ".so");
    std::error_code ec;
    if (out.sha256.empty() || !fs::exists(out.library, ec)) {
        const fs::path part = folder_ / "part";
        (void)fs::create_directories(folder_, ec);
        if (!ec) {
            fs::permissions(folder_, fs::perms::owner_all, ec);
        }
        (void)fs::copy_file(manifest.library, part, fs::copy_options::overwrite_existing, ec);
        if (!ec) {
            fs::permissions(part, fs::perms::owner_read | fs::perms::owner_write, ec);
        }
        if (!ec) {
            fs::rename(part, out.library, ec);
        }
        if (ec) {
            std::error_code ignored;
            (void)fs::remove(part, ignored);
            throw Error{
                TENON_UNAVAILABLE, "no copy of " + manifest.library.string() + ": " + ec.message()};
        }
    }
    std::string error =
        hash_of(out) == out.sha256 ? std::string{} : "M08 the library changed while it was copied";
    error = error.empty() ? try_library(out) : error;
    if (!error.empty()) {
        (void)fs::remove(out.library, ec);
        throw Error{TENON_UNSUPPORTED, error};
    }
    return out;
}

void Images::note(const std::string& instance, const manifest::PluginManifest& manifest) {
    (void)known_[instance].insert(manifest.sha256);
}

std::size_t Images::old_images(const std::string& instance) const {
    const auto found = known_.find(instance);
    return found == known_.end() ? 0 : found->second.size() - 1;
}

}  // namespace tenon::loader
