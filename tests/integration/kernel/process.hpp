// SPDX-License-Identifier: Apache-2.0
// Runs tenond and tenon as an operator would, with what they print.
#pragma once

#include <filesystem>
#include <string>
#include <sys/types.h>
#include <vector>

namespace tenon::test {

struct Result {
    int code = -1;  // -1: killed by a signal
    std::string out;
    std::string err;
};

class Process {
public:
    explicit Process(const std::vector<std::string>& arguments);
    ~Process();  // killed when it still runs
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }

    void signal(int number) const;
    // Waits for the end, at most a minute.
    Result wait();
    // Waits until standard error holds the text; false when the process ended before.
    [[nodiscard]] bool says(const std::string& text);

private:
    [[nodiscard]] static std::string read(int fd);

    pid_t pid_ = -1;
    int out_ = -1;
    int err_ = -1;
};

[[nodiscard]] Result run(const std::vector<std::string>& arguments);

[[nodiscard]] std::filesystem::path build_dir();

}  // namespace tenon::test
