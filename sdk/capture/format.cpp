// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/format.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zstd.h>

namespace tenon::capture {
namespace {

constexpr std::string_view k_segment_magic = "TNNCAPT1";

}  // namespace

struct Hasher::State {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
};

Hasher::Hasher() : state_{std::make_unique<State>()} {
    if (state_->context == nullptr) {
        throw std::bad_alloc{};
    }
}

Hasher::~Hasher() {
    EVP_MD_CTX_free(state_->context);
}

void Hasher::begin() {
    if (EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) != 1) {
        throw Error{TENON_INTERNAL, "SHA-256 is not available"};
    }
}

void Hasher::add(View bytes) {
    EVP_DigestUpdate(state_->context, bytes.data(), bytes.size());
}

Hash Hasher::end() {
    Hash hash{};
    unsigned length = 0;
    EVP_DigestFinal_ex(state_->context, hash.data(), &length);
    return hash;
}

Hash hash_of(View bytes) {
    Hasher hasher;
    hasher.begin();
    hasher.add(bytes);
    return hasher.end();
}

std::string hex_of(View bytes) {
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text.push_back(k_digits[byte >> 4U]);
        text.push_back(k_digits[byte & 15U]);
    }
    return text;
}

Bytes bytes_of_hex(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
        const int high = digit(text[i]);
        const int low = digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return {};
        }
        bytes.push_back(static_cast<unsigned char>(high * 16 + low));
    }
    return text.size() % 2 == 0 ? bytes : Bytes{};
}

struct Squeezer::State {
    ZSTD_CCtx* pack = nullptr;
    ZSTD_DCtx* unpack = nullptr;
};

Squeezer::Squeezer() : state_{std::make_unique<State>()} {}

Squeezer::~Squeezer() {
    ZSTD_freeCCtx(state_->pack);
    ZSTD_freeDCtx(state_->unpack);
}

Bytes Squeezer::compress(View bytes, int level) {
    if (state_->pack == nullptr && (state_->pack = ZSTD_createCCtx()) == nullptr) {
        throw std::bad_alloc{};
    }
    Bytes packed(ZSTD_compressBound(bytes.size()));
    const std::size_t size = ZSTD_compressCCtx(
        state_->pack, packed.data(), packed.size(), bytes.data(), bytes.size(), level
    );
    if (ZSTD_isError(size) != 0) {
        throw Error{TENON_INTERNAL, std::string{"zstd: "} + ZSTD_getErrorName(size)};
    }
    packed.resize(size);
    return packed;
}

void Squeezer::decompress(View packed, std::size_t bytes, Bytes& out, const std::string& what) {
    if (state_->unpack == nullptr && (state_->unpack = ZSTD_createDCtx()) == nullptr) {
        throw std::bad_alloc{};
    }
    out.resize(bytes);
    const std::size_t size =
        ZSTD_decompressDCtx(state_->unpack, out.data(), out.size(), packed.data(), packed.size());
    if (size != bytes) {
        throw Error{TENON_CORRUPT, what + ": its compressed pages cannot be read"};
    }
}

void put_u32(Bytes& to, std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        to.push_back(static_cast<unsigned char>(value >> shift));
    }
}

void put_u64(Bytes& to, std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        to.push_back(static_cast<unsigned char>(value >> shift));
    }
}

std::uint32_t get_u32(View from, std::size_t at) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) {
        value = value << 8U | from[at + i];
    }
    return value;
}

std::uint64_t get_u64(View from, std::size_t at) noexcept {
    return std::uint64_t{get_u32(from, at + 4)} << 32U | get_u32(from, at);
}

bool is_page_size(std::uint32_t bytes) noexcept {
    return bytes >= 512 && bytes <= 65'536 && (bytes & (bytes - 1)) == 0;
}

Bytes encode(const SegmentHeader& header) {
    Bytes bytes{k_segment_magic.begin(), k_segment_magic.end()};
    put_u32(bytes, k_version);
    put_u32(bytes, header.page_size);
    bytes.insert(bytes.end(), header.uuid.begin(), header.uuid.end());
    put_u64(bytes, header.epoch);
    put_u64(bytes, header.first_txid);
    put_u64(bytes, static_cast<std::uint64_t>(header.real_ns));
    bytes.insert(bytes.end(), header.previous.begin(), header.previous.end());
    put_u64(bytes, 0);  // reserved
    return bytes;
}

SegmentHeader decode_segment_header(View bytes, const std::string& file) {
    const auto magic = bytes.first(std::min(bytes.size(), k_segment_magic.size()));
    if (bytes.size() != k_segment_header_bytes ||
        !std::equal(magic.begin(), magic.end(), k_segment_magic.begin())) {
        throw Error{TENON_CORRUPT, file + ": no header of a segment"};
    }
    if (get_u32(bytes, 8) != k_version) {
        throw Error{
            TENON_UNSUPPORTED,
            file + ": format " + std::to_string(get_u32(bytes, 8)) + ", known: 1"};
    }
    SegmentHeader header;
    header.page_size = get_u32(bytes, 12);
    std::copy_n(bytes.begin() + 16, 16, header.uuid.begin());
    header.epoch = get_u64(bytes, 32);
    header.first_txid = get_u64(bytes, 40);
    header.real_ns = static_cast<std::int64_t>(get_u64(bytes, 48));
    std::copy_n(bytes.begin() + 56, 32, header.previous.begin());
    if (!is_page_size(header.page_size) || get_u64(bytes, 88) != 0) {
        throw Error{TENON_CORRUPT, file + ": its header is damaged"};
    }
    return header;
}

namespace {

void put_place(Bytes& to, const WalPlace& place) {
    for (const std::uint32_t word :
         {place.salt1, place.salt2, place.frame, place.sum1, place.sum2}) {
        put_u32(to, word);
    }
}

WalPlace get_place(View from, std::size_t at) noexcept {
    return {
        get_u32(from, at),
        get_u32(from, at + 4),
        get_u32(from, at + 8),
        get_u32(from, at + 12),
        get_u32(from, at + 16)};
}

}  // namespace

Bytes encode(const Commit& commit) {
    Bytes body;
    put_u64(body, commit.txid);
    put_u64(body, static_cast<std::uint64_t>(commit.real_ns));
    put_u32(body, commit.pages);
    put_place(body, commit.place);
    return body;
}

Commit decode_commit(View body) {
    return {
        get_u64(body, 0),
        static_cast<std::int64_t>(get_u64(body, 8)),
        get_u32(body, 16),
        get_place(body, 20)};
}

Bytes encode(const LogState& state) {
    Bytes body;
    put_u64(body, state.stamp.inode);
    put_u64(body, state.stamp.bytes);
    put_u64(body, static_cast<std::uint64_t>(state.stamp.mtime_ns));
    put_place(body, state.place);
    return body;
}

LogState decode_log_state(View body) {
    return {
        {get_u64(body, 0), get_u64(body, 8), static_cast<std::int64_t>(get_u64(body, 16))},
        get_place(body, 24)};
}

Hash genesis(const std::array<unsigned char, 16>& uuid, std::uint64_t epoch) {
    Bytes bytes{uuid.begin(), uuid.end()};
    put_u64(bytes, epoch);
    return hash_of(bytes);
}

Error file_error(std::string_view what, const std::string& file) {
    return Error{
        TENON_UNAVAILABLE,
        "cannot " + std::string{what} + " " + file + ": " + std::strerror(errno)};
}

void write_all(int fd, View bytes, const std::string& file) {
    while (!bytes.empty()) {
        const ssize_t done = ::write(fd, bytes.data(), bytes.size());
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            throw file_error("write", file);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
}

std::size_t read_at(
    int fd,
    unsigned char* to,
    std::size_t bytes,
    std::uint64_t offset,
    const std::string& file
) {
    std::size_t total = 0;
    while (total < bytes) {
        const ssize_t done =
            ::pread(fd, to + total, bytes - total, static_cast<off_t>(offset + total));
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            throw file_error("read", file);
        }
        if (done == 0) {
            break;
        }
        total += static_cast<std::size_t>(done);
    }
    return total;
}

void sync_folder(const std::string& folder) {
    const Descriptor fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!fd.is_open() || ::fsync(fd.get()) != 0) {
        throw file_error("sync", folder);
    }
}

Descriptor::~Descriptor() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

}  // namespace tenon::capture
