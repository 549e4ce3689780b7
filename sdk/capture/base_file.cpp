// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/base_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <future>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::capture {
namespace {

constexpr std::string_view k_base_magic = "TNNBASE1";
constexpr std::size_t k_base_header_bytes = 88;
constexpr std::size_t k_block_bytes = std::size_t{1} << 20U;

Bytes encode(const BaseHeader& header) {
    Bytes bytes{k_base_magic.begin(), k_base_magic.end()};
    put_u32(bytes, k_version);
    put_u32(bytes, header.page_size);
    bytes.insert(bytes.end(), header.uuid.begin(), header.uuid.end());
    put_u64(bytes, header.epoch);
    put_u64(bytes, header.txid);
    put_u64(bytes, static_cast<std::uint64_t>(header.real_ns));
    bytes.insert(bytes.end(), header.chain.begin(), header.chain.end());
    // The number of pages goes where it keeps the header's length a multiple of 8.
    bytes.resize(k_base_header_bytes);
    Bytes pages;
    put_u32(pages, header.pages);
    bytes.insert(bytes.end(), pages.begin(), pages.end());
    put_u32(bytes, 0);
    return bytes;
}

BaseHeader decode(View bytes, const std::string& file) {
    const auto magic = bytes.first(std::min(bytes.size(), k_base_magic.size()));
    if (bytes.size() != k_base_header_bytes + 8 ||
        !std::equal(magic.begin(), magic.end(), k_base_magic.begin())) {
        throw Error{TENON_CORRUPT, file + ": no header of a base"};
    }
    if (get_u32(bytes, 8) != k_version) {
        throw Error{
            TENON_UNSUPPORTED,
            file + ": format " + std::to_string(get_u32(bytes, 8)) + ", known: 1"};
    }
    BaseHeader header;
    header.page_size = get_u32(bytes, 12);
    std::copy_n(bytes.begin() + 16, 16, header.uuid.begin());
    header.epoch = get_u64(bytes, 32);
    header.txid = get_u64(bytes, 40);
    header.real_ns = static_cast<std::int64_t>(get_u64(bytes, 48));
    std::copy_n(bytes.begin() + 56, 32, header.chain.begin());
    header.pages = get_u32(bytes, k_base_header_bytes);
    if (!is_page_size(header.page_size)) {
        throw Error{TENON_CORRUPT, file + ": its header is damaged"};
    }
    return header;
}

Descriptor open_for_reading(const std::string& file) {
    Descriptor fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd.is_open()) {
        if (errno == ENOENT) {
            throw Error{TENON_NOT_FOUND, file + " is missing"};
        }
        throw file_error("open", file);
    }
    return fd;
}

Bytes header_bytes(int fd, const std::string& file) {
    Bytes bytes(k_base_header_bytes + 8);
    bytes.resize(read_at(fd, bytes.data(), bytes.size(), 0, file));
    return bytes;
}

[[noreturn]] void damaged(const std::string& file) {
    throw Error{TENON_CORRUPT, file + " is damaged: its content does not match its checksum"};
}

void require_going_on(const Progress& progress, std::uint64_t done, std::uint64_t all) {
    if (progress && !progress(done, all)) {
        throw Error{TENON_UNAVAILABLE, "stopped"};
    }
}

void pack(
    int to,
    const std::string& name,
    const BaseHeader& header,
    const PageSource& source,
    int level,
    const Progress& progress
) {
    Hasher hasher;
    Squeezer squeezer;
    hasher.begin();
    const auto put = [&](View bytes) {
        hasher.add(bytes);
        write_all(to, bytes, name);
    };
    put(encode(header));
    const std::uint64_t size = std::uint64_t{header.pages} * header.page_size;
    const auto at_once = static_cast<std::uint32_t>(k_block_bytes / header.page_size);
    Bytes block;
    for (std::uint32_t next = 0; next < header.pages;) {
        const std::uint32_t count = std::min(at_once, header.pages - next);
        block.resize(std::size_t{count} * header.page_size);
        for (std::uint32_t i = 0; i < count; ++i) {
            source(next + i + 1, block.data() + std::size_t{i} * header.page_size);
        }
        const Bytes packed = squeezer.compress(block, std::max(level, 1));
        Bytes head;
        put_u32(head, static_cast<std::uint32_t>(packed.size()));
        put_u32(head, static_cast<std::uint32_t>(block.size()));
        put(head);
        put(packed);
        next += count;
        require_going_on(progress, std::uint64_t{next} * header.page_size, size);
    }
    put(Bytes(8));
    write_all(to, hasher.end(), name);
    if (::fsync(to) != 0) {
        throw file_error("sync", name);
    }
}

}  // namespace

void write_base(
    const std::string& to,
    const BaseHeader& header,
    const PageSource& source,
    int level,
    const Progress& progress
) {
    const std::string part = to + ".part";
    const Descriptor out{::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (!out.is_open()) {
        throw file_error("create", part);
    }
    try {
        pack(out.get(), part, header, source, level, progress);
        if (::rename(part.c_str(), to.c_str()) != 0) {
            throw file_error("rename", part);
        }
    } catch (...) {
        ::unlink(part.c_str());
        throw;
    }
    sync_folder(to.substr(0, to.rfind('/') + 1));
}

BaseHeader read_base_header(const std::string& file) {
    const Descriptor fd = open_for_reading(file);
    return decode(header_bytes(fd.get(), file), file);
}

BaseHeader unpack_base(const std::string& file, const std::string& to, const Progress& progress) {
    const Descriptor fd = open_for_reading(file);
    const Bytes first = header_bytes(fd.get(), file);
    const BaseHeader header = decode(first, file);
    const std::uint64_t size = std::uint64_t{header.pages} * header.page_size;
    Descriptor out;
    if (!to.empty()) {
        out = Descriptor{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        if (!out.is_open()) {
            throw file_error("create", to);
        }
    }
    try {
        Hasher hasher;
        Squeezer squeezer;
        hasher.begin();
        hasher.add(first);
        Bytes packed;
        Bytes block;
        Bytes written;  // by `writing`, while the next block is unpacked
        std::future<void> writing;
        const auto finish_writing = [&] {
            if (writing.valid()) {
                writing.get();
            }
        };
        std::uint64_t at = first.size();
        std::uint64_t done = 0;
        for (;;) {
            std::array<unsigned char, 8> head{};
            if (read_at(fd.get(), head.data(), head.size(), at, file) != head.size()) {
                damaged(file);
            }
            hasher.add(head);
            at += head.size();
            const std::size_t length = get_u32(head, 0);
            const std::size_t raw = get_u32(head, 4);
            if (length == 0 && raw == 0) {
                break;
            }
            if (length > 2 * k_block_bytes || raw > k_block_bytes || done + raw > size) {
                damaged(file);
            }
            packed.resize(length);
            if (read_at(fd.get(), packed.data(), length, at, file) != length) {
                damaged(file);
            }
            hasher.add(packed);
            squeezer.decompress(packed, raw, block, file);
            at += length;
            if (out.is_open()) {
                finish_writing();
                written.swap(block);
                writing = std::async(std::launch::async, [&, done] {
                    write_all(out.get(), written, to);
                    // The disk begins now, which leaves little for the sync at the end.
                    (void)::sync_file_range(
                        out.get(),
                        static_cast<off64_t>(done),
                        static_cast<off64_t>(written.size()),
                        SYNC_FILE_RANGE_WRITE
                    );
                });
            }
            done += raw;
            require_going_on(progress, done, size);
        }
        finish_writing();
        Hash kept{};
        const Hash hash = hasher.end();
        if (done != size || read_at(fd.get(), kept.data(), kept.size(), at, file) != kept.size() ||
            kept != hash) {
            damaged(file);
        }
    } catch (...) {
        if (out.is_open()) {
            ::unlink(to.c_str());
        }
        throw;
    }
    return header;
}

}  // namespace tenon::capture
