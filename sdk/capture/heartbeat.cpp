// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/heartbeat.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace tenon::capture {
namespace {

constexpr std::uint64_t k_mix = 0x9e3779b97f4a7c15U;
constexpr std::size_t k_bytes = 24;

std::uint64_t sum_of(const Heartbeat& beat) noexcept {
    return (beat.txid ^ k_mix) * k_mix + static_cast<std::uint64_t>(beat.real_ns);
}

}  // namespace

std::string heartbeat_name(const std::string& folder) {
    return folder + "/alive";
}

void write_heartbeat(int fd, const Heartbeat& beat, const std::string& file) {
    Bytes bytes;
    put_u64(bytes, beat.txid);
    put_u64(bytes, static_cast<std::uint64_t>(beat.real_ns));
    put_u64(bytes, sum_of(beat));
    if (::pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw file_error("write", file);
    }
}

Heartbeat read_heartbeat(const std::string& folder) {
    const std::string name = heartbeat_name(folder);
    const Descriptor fd{::open(name.c_str(), O_RDONLY | O_CLOEXEC)};
    Bytes bytes(k_bytes);
    if (!fd.is_open() || read_at(fd.get(), bytes.data(), k_bytes, 0, name) != k_bytes) {
        return {};
    }
    const Heartbeat beat{get_u64(bytes, 0), static_cast<std::int64_t>(get_u64(bytes, 8))};
    return get_u64(bytes, 16) == sum_of(beat) ? beat : Heartbeat{};
}

}  // namespace tenon::capture
