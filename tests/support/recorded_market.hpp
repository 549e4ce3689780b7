// SPDX-License-Identifier: Apache-2.0
// Replays recordings in a test without threads or time, and builds small ones line by line.
#pragma once

#include "plugins/venue/replay/replay.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>

namespace tenon::test {

inline std::string recorded_file(const std::string& symbol) {
    const char* const source = std::getenv("TENON_SOURCE_DIR");
    return std::string{source != nullptr ? source : "."} + "/etc/market-data/binance-spot-" +
           symbol + "-20240808-stream.gz";
}

// Reads in the caller's thread.
inline std::unique_ptr<replay::Prefetch>
prefetch_now(const std::string& file, replay::RecordedSymbol symbol) {
    return std::make_unique<replay::Prefetch>(
        replay::Recording{file, std::move(symbol)},
        [](const std::function<void()>& fill) {
            fill();
            return true;
        }
    );
}

// A file of its own that goes away with the object.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& content) {
        std::string name =
            (std::filesystem::temp_directory_path() / "tenon-recording-XXXXXX").string();
        const int fd = mkstemp(name.data());
        if (fd >= 0) {
            (void)close(fd);
        }
        path_ = name;
        std::ofstream{path_} << content;
    }

    ~TemporaryFile() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }

    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

}  // namespace tenon::test
