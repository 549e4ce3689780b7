// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/upkeep/schedule_file.hpp"

#include "sdk/capture/format.hpp"

#include <cerrno>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

namespace tenon::upkeep {
namespace {

constexpr std::size_t k_bytes_max = 65'536;

}  // namespace

std::string read_schedule(const std::string& file) {
    const capture::Descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!in.is_open()) {
        if (file.empty() || errno == ENOENT) {
            return "";
        }
        throw capture::file_error("open", file);
    }
    capture::Bytes bytes(k_bytes_max);
    bytes.resize(capture::read_at(in.get(), bytes.data(), bytes.size(), 0, file));
    return {bytes.begin(), bytes.end()};
}

void save_schedule_file(const std::string& file, std::string_view text) {
    const std::string part = file + ".part";
    const capture::Descriptor out{
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!out.is_open()) {
        throw capture::file_error("create", part);
    }
    try {
        capture::write_all(
            out.get(), {reinterpret_cast<const unsigned char*>(text.data()), text.size()}, part
        );
        if (::fsync(out.get()) != 0) {
            throw capture::file_error("sync", part);
        }
        if (::rename(part.c_str(), file.c_str()) != 0) {
            throw capture::file_error("rename", part);
        }
    } catch (...) {
        ::unlink(part.c_str());
        throw;
    }
    capture::sync_folder(file.substr(0, file.rfind('/')));
}

}  // namespace tenon::upkeep
