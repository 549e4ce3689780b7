// SPDX-License-Identifier: Apache-2.0
// A copy of some bytes that ends where a page ends that nobody may touch. take_away() makes the
// copy itself untouchable: who kept a pointer to it crashes.
#pragma once

#include <tenon/abi/base.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace tenon::conformance {

class Guarded {
public:
    // `slack`: bytes that may be read behind the text.
    explicit Guarded(std::string_view text, std::size_t slack = 0) : size_{text.size()} {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const std::size_t data = ((size_ + slack) / page + 1) * page;
        mapped_ = data + page;
        void* const base =
            ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED) {
            throw std::system_error{errno, std::generic_category(), "mmap"};
        }
        base_ = static_cast<char*>(base);
        start_ = base_ + data - slack - size_;
        if (!text.empty()) {
            std::memcpy(start_, text.data(), size_);
        }
        (void)::mprotect(base_ + data, page, PROT_NONE);
    }

    ~Guarded() { (void)::munmap(base_, mapped_); }

    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;

    void take_away() { (void)::mprotect(base_, mapped_, PROT_NONE); }

    [[nodiscard]] std::string_view view() const { return {start_, size_}; }

    [[nodiscard]] tenon_str str() const { return {start_, size_}; }

    [[nodiscard]] tenon_bytes bytes() const { return {start_, size_}; }

    // The same range, to be written by the plugin.
    [[nodiscard]] char* data() { return start_; }

private:
    std::size_t size_;
    std::size_t mapped_ = 0;
    char* base_ = nullptr;
    char* start_ = nullptr;
};

}  // namespace tenon::conformance
