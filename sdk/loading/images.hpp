// SPDX-License-Identifier: Apache-2.0
// The libraries that came in while the server ran. Each is opened from a copy of its own,
// DATA_DIR/images/SHA256.so: the file beside the manifest may change, and the dynamic linker would
// give what it has of that path already.
//
// A library is never closed (library.hpp), so what was replaced stays mapped; it is counted, and
// there is a most. The copies are of this run alone: a start takes the libraries where the
// manifests have them and removes what a run before left, however it ended.
#pragma once

#include "sdk/manifest/plugin_manifest.hpp"

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace tenon::loader {

class Images {
public:
    static constexpr std::size_t k_mapped_max = 256;

    explicit Images(const std::filesystem::path& data_dir);

    // [io] Copies the library, checks the copy's hash and tries it in a child process. Gives the
    // manifest with the copy as its library. Throws Error; then nothing was opened in this process.
    [[nodiscard]] manifest::PluginManifest
    take(const std::string& instance, const manifest::PluginManifest& manifest) const;
    // This instance runs, or ran, this library.
    void note(const std::string& instance, const manifest::PluginManifest& manifest);

    // Mapped for this instance beside the one that it runs.
    [[nodiscard]] std::size_t old_images(const std::string& instance) const;

private:
    const std::filesystem::path folder_;
    std::map<std::string, std::set<std::string>, std::less<>> known_;  // hashes by instance
};

}  // namespace tenon::loader
