// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/wal.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::capture {
namespace {

constexpr std::uint32_t k_magic = 0x377f0682;  // the lowest bit: sums over big-endian words
constexpr std::uint32_t k_wal_version = 3'007'000;
constexpr std::size_t k_read_bytes = std::size_t{1} << 18U;
constexpr std::size_t k_write_bytes = std::size_t{1} << 20U;

std::uint32_t big(const unsigned char* at) noexcept {
    return std::uint32_t{at[0]} << 24U | std::uint32_t{at[1]} << 16U | std::uint32_t{at[2]} << 8U |
           std::uint32_t{at[3]};
}

std::uint32_t little(const unsigned char* at) noexcept {
    return std::uint32_t{at[3]} << 24U | std::uint32_t{at[2]} << 16U | std::uint32_t{at[1]} << 8U |
           std::uint32_t{at[0]};
}

void put_big(Bytes& to, std::uint32_t value) {
    for (unsigned shift = 32; shift > 0;) {
        shift -= 8;
        to.push_back(static_cast<unsigned char>(value >> shift));
    }
}

struct Sum {
    std::uint32_t a = 0;
    std::uint32_t b = 0;

    void add(View bytes, bool big_words) noexcept {
        const auto word = big_words ? &big : &little;
        for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
            a += word(bytes.data() + i) + b;
            b += word(bytes.data() + i + 4) + a;
        }
    }
};

struct Header {
    bool is_valid = false;
    bool big_words = false;
    std::uint32_t page_size = 0;
    WalPlace start;
};

Header decode(View bytes) {
    Header header;
    if (bytes.size() != k_wal_header_bytes || (big(bytes.data()) & ~1U) != k_magic ||
        big(bytes.data() + 4) != k_wal_version) {
        return header;
    }
    header.big_words = (big(bytes.data()) & 1U) != 0;
    header.page_size = big(bytes.data() + 8);
    Sum sum;
    sum.add(bytes.first(24), header.big_words);
    header.start = {big(bytes.data() + 16), big(bytes.data() + 20), 0, sum.a, sum.b};
    header.is_valid = is_page_size(header.page_size) && sum.a == big(bytes.data() + 24) &&
                      sum.b == big(bytes.data() + 28);
    return header;
}

}  // namespace

WalFile::WalFile(const std::string& file, bool writes)
    : name_{file + "-wal"}, fd_{::open(name_.c_str(), (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC)} {
    if (!fd_.is_open()) {
        throw file_error("open", name_);
    }
}

WalScan WalFile::scan(const WalPlace& from) const {
    WalScan scan;
    std::array<unsigned char, k_wal_header_bytes> head{};
    const std::size_t found = read_at(fd_.get(), head.data(), head.size(), 0, name_);
    const Header header = decode(View{head}.first(found));
    if (!header.is_valid) {
        return scan;
    }
    scan.has_header = true;
    scan.page_size = header.page_size;
    const bool goes_on =
        from.frame != 0 && from.salt1 == header.start.salt1 && from.salt2 == header.start.salt2;
    scan.start = goes_on ? from : header.start;
    WalPlace at = scan.start;
    const std::size_t frame_bytes = k_frame_head_bytes + header.page_size;
    const std::size_t at_once = std::max<std::size_t>(k_read_bytes / frame_bytes, 1);
    buffer_.resize(at_once * frame_bytes);
    std::uint32_t first = at.frame + 1;
    for (;;) {
        const std::size_t got = read_at(
            fd_.get(),
            buffer_.data(),
            buffer_.size(),
            offset_of(at.frame + 1, header.page_size),
            name_
        );
        const std::size_t frames = got / frame_bytes;
        for (std::size_t i = 0; i < frames; ++i) {
            const View frame = View{buffer_}.subspan(i * frame_bytes, frame_bytes);
            const unsigned char* const raw = frame.data();
            Sum sum{at.sum1, at.sum2};
            sum.add(frame.first(8), header.big_words);
            sum.add(frame.subspan(k_frame_head_bytes), header.big_words);
            if (big(raw + 8) != at.salt1 || big(raw + 12) != at.salt2 || big(raw) == 0 ||
                sum.a != big(raw + 16) || sum.b != big(raw + 20)) {
                return scan;
            }
            at = {at.salt1, at.salt2, at.frame + 1, sum.a, sum.b};
            if (big(raw + 4) != 0) {
                scan.commits.push_back({first, big(raw + 4), at});
                first = at.frame + 1;
            }
        }
        if (frames < at_once) {
            return scan;
        }
    }
}

bool WalFile::holds(const WalPlace& place) const {
    const WalScan all = scan({});
    if (!all.has_header) {
        return false;
    }
    if (place.frame == 0) {
        return place == all.start;
    }
    return std::any_of(all.commits.begin(), all.commits.end(), [&](const WalCommit& commit) {
        return commit.place == place;
    });
}

bool WalFile::begins_like(const WalPlace& place) const {
    std::array<unsigned char, k_wal_header_bytes> head{};
    const std::size_t found = read_at(fd_.get(), head.data(), head.size(), 0, name_);
    const Header header = decode(View{head}.first(found));
    return header.is_valid && header.start.salt1 == place.salt1 &&
           header.start.salt2 == place.salt2;
}

void WalFile::read_frames(
    std::uint32_t first,
    std::uint32_t last,
    std::uint32_t page_size,
    const std::function<void(std::uint32_t, View)>& page
) const {
    const std::size_t frame_bytes = k_frame_head_bytes + page_size;
    const std::size_t at_once = std::max<std::size_t>(k_read_bytes / frame_bytes, 1);
    while (first <= last) {
        const std::size_t frames = std::min<std::size_t>(last - first + 1, at_once);
        buffer_.resize(frames * frame_bytes);
        if (read_at(
                fd_.get(), buffer_.data(), buffer_.size(), offset_of(first, page_size), name_
            ) != buffer_.size()) {
            throw Error{TENON_CORRUPT, name_ + " became shorter while it was read"};
        }
        for (std::size_t i = 0; i < frames; ++i) {
            const View frame = View{buffer_}.subspan(i * frame_bytes, frame_bytes);
            page(big(frame.data()), frame.subspan(k_frame_head_bytes));
        }
        first += static_cast<std::uint32_t>(frames);
    }
}

std::uint64_t WalFile::bytes() const {
    struct stat found {};

    return ::fstat(fd_.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

WalPlace WalFile::restart(std::uint32_t page_size, std::uint32_t salt1, std::uint32_t salt2) {
    pending_.clear();
    if (::ftruncate(fd_.get(), 0) != 0) {
        throw file_error("empty", name_);
    }
    put_big(pending_, std::endian::native == std::endian::big ? k_magic | 1U : k_magic);
    put_big(pending_, k_wal_version);
    put_big(pending_, page_size);
    put_big(pending_, 0);
    put_big(pending_, salt1);
    put_big(pending_, salt2);
    Sum sum;
    sum.add(pending_, std::endian::native == std::endian::big);
    put_big(pending_, sum.a);
    put_big(pending_, sum.b);
    pending_at_ = 0;
    flush();
    return {salt1, salt2, 0, sum.a, sum.b};
}

void WalFile::append(
    WalPlace& place,
    std::uint32_t page_size,
    std::uint32_t number,
    std::uint32_t pages,
    View page
) {
    if (pending_.size() >= k_write_bytes) {
        flush();
    }
    if (pending_.empty()) {
        pending_at_ = offset_of(place.frame + 1, page_size);
    }
    const std::size_t begin = pending_.size();
    put_big(pending_, number);
    put_big(pending_, pages);
    Sum sum{place.sum1, place.sum2};
    const bool big_words = std::endian::native == std::endian::big;
    sum.add(View{pending_}.subspan(begin, 8), big_words);
    sum.add(page, big_words);
    place = {place.salt1, place.salt2, place.frame + 1, sum.a, sum.b};
    put_big(pending_, place.salt1);
    put_big(pending_, place.salt2);
    put_big(pending_, sum.a);
    put_big(pending_, sum.b);
    pending_.insert(pending_.end(), page.begin(), page.end());
}

void WalFile::flush() {
    std::size_t done = 0;
    while (done < pending_.size()) {
        const ssize_t wrote = ::pwrite(
            fd_.get(),
            pending_.data() + done,
            pending_.size() - done,
            static_cast<off_t>(pending_at_ + done)
        );
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            throw file_error("write", name_);
        }
        done += static_cast<std::size_t>(wrote);
    }
    pending_.clear();
}

void WalFile::sync() {
    if (::fdatasync(fd_.get()) != 0) {
        throw file_error("sync", name_);
    }
}

void WalFile::cut(const WalPlace& place, std::uint32_t page_size) {
    pending_.clear();
    if (::ftruncate(fd_.get(), static_cast<off_t>(offset_of(place.frame + 1, page_size))) != 0) {
        throw file_error("cut", name_);
    }
}

}  // namespace tenon::capture
