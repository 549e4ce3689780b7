// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/rows.hpp"

#include <tenon/plugin.hpp>

#include <boost/crc.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace tenon::history {
namespace {

constexpr std::size_t k_head_bytes = 4'096;
constexpr std::array<char, 8> k_magic{'T', 'N', 'H', 'I', 'S', 'T', '0', '1'};
constexpr std::uint32_t k_order = 0x01020304;

struct Head {
    std::array<char, 8> magic;
    std::uint32_t order, columns;
    std::uint64_t id;
    std::uint64_t tiers;
};

struct TierHead {
    std::int64_t step_s, slots;
};

struct RowHead {
    std::int64_t at_s;
    std::uint32_t era;
    std::uint32_t crc;  // of the row with a 0 here
};

static_assert(sizeof(RowHead) == 16 && sizeof(Cell) == 16);

std::uint32_t crc_of(std::span<const std::byte> bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

[[noreturn]] void fail_disk(const char* what) {
    throw Error{
        TENON_UNAVAILABLE,
        std::string{"metric history: cannot "} + what + ": " +
            std::generic_category().message(errno)};
}

// Fewer bytes than asked for: the file ends there.
std::size_t read_at(int fd, std::span<std::byte> to, std::int64_t offset) {
    std::size_t done = 0;
    while (done < to.size()) {
        const auto at = offset + static_cast<std::int64_t>(done);
        const ::ssize_t got = ::pread(fd, to.data() + done, to.size() - done, at);
        if (got < 0 && errno != EINTR) {
            fail_disk("read");
        }
        if (got == 0) {
            break;
        }
        done += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    return done;
}

void write_at(int fd, std::span<const std::byte> from, std::int64_t offset) {
    while (!from.empty()) {
        const ::ssize_t put = ::pwrite(fd, from.data(), from.size(), offset);
        if (put < 0 && errno != EINTR) {
            fail_disk("write");
        }
        const std::size_t done = put > 0 ? static_cast<std::size_t>(put) : 0;
        from = from.subspan(done);
        offset += static_cast<std::int64_t>(done);
    }
}

template <class Struct>
std::size_t put(std::span<std::byte> to, std::size_t at, const Struct& value) {
    std::memcpy(to.data() + at, &value, sizeof value);
    return at + sizeof value;
}

std::vector<std::byte> head_of(const Rows::Shape& shape, std::uint64_t id) {
    std::vector<std::byte> head(k_head_bytes);
    std::size_t at =
        put(head, 0, Head{k_magic, k_order, shape.columns, id, std::uint64_t{shape.tiers.size()}});
    for (const Tier& tier : shape.tiers) {
        at = put(head, at, TierHead{tier.step_s, tier.slots});
    }
    (void)put(head, at, crc_of(std::span{head}.first(at)));
    return head;
}

}  // namespace

Cell merged(const Cell& left, const Cell& right) noexcept {
    if (left.count == 0 || right.count == 0) {
        return left.count == 0 ? right : left;
    }
    const double left_part = static_cast<double>(left.count) /
                             (static_cast<double>(left.count) + static_cast<double>(right.count));
    const double mean = static_cast<double>(left.mean) * left_part +
                        static_cast<double>(right.mean) * (1 - left_part);
    constexpr std::uint32_t k_most = std::numeric_limits<std::uint32_t>::max();
    return {
        static_cast<float>(mean),
        std::min(left.min, right.min),
        std::max(left.max, right.max),
        left.count > k_most - right.count ? k_most : left.count + right.count};
}

std::uint64_t Rows::Shape::bytes() const noexcept {
    std::uint64_t rows = 0;
    for (const Tier& tier : tiers) {
        rows += static_cast<std::uint64_t>(tier.slots);
    }
    return k_head_bytes + rows * (sizeof(RowHead) + columns * sizeof(Cell));
}

Rows::Rows(const std::filesystem::path& file, Shape shape, std::uint64_t id)
    : shape_{std::move(shape)} {
    buffer_.resize(row_bytes());
    fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) {
        fail_disk("open its file");
    }
    try {
        struct stat status {};

        if (::fstat(fd_, &status) != 0) {
            fail_disk("look at its file");
        }
        const std::vector<std::byte> head = head_of(shape_, id);
        if (status.st_size == 0) {
            write_at(fd_, head, 0);
            sync();
        } else {
            check_head(head);
        }
    } catch (...) {
        ::close(fd_);
        throw;
    }
}

Rows::Rows(Rows&& other) noexcept
    : fd_{std::exchange(other.fd_, -1)},
      shape_{std::move(other.shape_)},
      buffer_{std::move(other.buffer_)},
      damaged_{other.damaged_} {}

Rows& Rows::operator=(Rows&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(shape_, other.shape_);
    std::swap(buffer_, other.buffer_);
    std::swap(damaged_, other.damaged_);
    return *this;
}

Rows::~Rows() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void Rows::check_head(std::span<const std::byte> expected) const {
    std::vector<std::byte> found(k_head_bytes);
    const bool is_whole = read_at(fd_, found, 0) == found.size();
    if (!is_whole || !std::equal(found.begin(), found.end(), expected.begin())) {
        throw Error{
            TENON_CORRUPT, "metric history: its file is damaged, or of another shape or list"};
    }
}

std::size_t Rows::row_bytes() const noexcept {
    return sizeof(RowHead) + shape_.columns * sizeof(Cell);
}

std::int64_t Rows::offset_of(std::size_t tier, std::int64_t slot) const noexcept {
    for (std::size_t i = 0; i < tier; ++i) {
        slot += shape_.tiers[i].slots;
    }
    return static_cast<std::int64_t>(k_head_bytes) + slot * static_cast<std::int64_t>(row_bytes());
}

std::optional<Row> Rows::read_slot(std::size_t tier, std::int64_t slot) const {
    if (read_at(fd_, buffer_, offset_of(tier, slot)) != buffer_.size()) {
        return std::nullopt;
    }
    RowHead head{};
    std::memcpy(&head, buffer_.data(), sizeof head);
    if (head.at_s == 0) {
        return std::nullopt;  // a hole of the file
    }
    const std::uint32_t crc = std::exchange(head.crc, 0);
    (void)put(buffer_, 0, head);
    if (crc_of(buffer_) != crc) {
        ++damaged_;
        return std::nullopt;
    }
    Row row{head.at_s, head.era, std::vector<Cell>(shape_.columns)};
    std::memcpy(row.cells.data(), buffer_.data() + sizeof head, buffer_.size() - sizeof head);
    return row;
}

std::optional<Row> Rows::read(std::size_t tier, std::int64_t at_s) const {
    const Tier& ring = shape_.tiers.at(tier);
    if (at_s <= 0 || at_s % ring.step_s != 0) {
        return std::nullopt;
    }
    // The row's time is looked at first: most of those that are too old need no sum.
    RowHead head{};
    const std::int64_t slot = at_s / ring.step_s % ring.slots;
    const auto bytes = std::as_writable_bytes(std::span{&head, 1});
    if (read_at(fd_, bytes, offset_of(tier, slot)) != sizeof head || head.at_s != at_s) {
        return std::nullopt;
    }
    return read_slot(tier, slot);
}

void Rows::write(std::size_t tier, const Row& row) {
    const Tier& ring = shape_.tiers.at(tier);
    if (row.at_s <= 0 || row.at_s % ring.step_s != 0 || row.cells.size() != shape_.columns) {
        throw Error{TENON_INVALID, "metric history: a row of another shape"};
    }
    RowHead head{row.at_s, row.era, 0};
    (void)put(buffer_, 0, head);
    std::memcpy(buffer_.data() + sizeof head, row.cells.data(), buffer_.size() - sizeof head);
    head.crc = crc_of(buffer_);
    (void)put(buffer_, 0, head);
    write_at(fd_, buffer_, offset_of(tier, row.at_s / ring.step_s % ring.slots));
}

std::optional<Row> Rows::newest() const {
    std::optional<Row> found;
    for (std::int64_t slot = 0; slot < shape_.tiers.front().slots; ++slot) {
        std::optional<Row> row = read_slot(0, slot);
        if (row &&
            (!found || std::pair{row->era, row->at_s} > std::pair{found->era, found->at_s})) {
            found = std::move(row);
        }
    }
    return found;
}

void Rows::sync() {
    if (::fdatasync(fd_) != 0) {
        fail_disk("sync");
    }
}

}  // namespace tenon::history
