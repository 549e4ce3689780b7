// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/segment_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace tenon::capture {
namespace {

constexpr std::size_t k_read_bytes = std::size_t{1} << 20U;

// What a record of this type may hold.
bool is_plausible(unsigned type, unsigned flags, std::size_t length) noexcept {
    if (flags > 1 || (flags == 1 && type != 1)) {
        return false;
    }
    switch (static_cast<RecordType>(type)) {
        case RecordType::pages:
            return length > 4 && length <= k_record_bytes_max;
        case RecordType::commit:
            return length == k_commit_bytes;
        case RecordType::log_state:
            return length == k_log_state_bytes;
        case RecordType::end:
            return length == 8;
    }
    return false;
}

}  // namespace

SegmentReader::SegmentReader(std::string file)
    : file_{std::move(file)}, fd_{::open(file_.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (!fd_.is_open()) {
        if (errno == ENOENT) {
            throw Error{TENON_NOT_FOUND, file_ + " is missing"};
        }
        throw file_error("open", file_);
    }
    Bytes head(k_segment_header_bytes);
    head.resize(read_at(fd_.get(), head.data(), head.size(), 0, file_));
    header_ = decode_segment_header(head, file_);
    offset_ = head.size();
    chain_ = hash_of(head);
}

std::uint64_t SegmentReader::size() const {
    struct stat found {};

    return ::fstat(fd_.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

// That many bytes from offset_ on are in the buffer.
bool SegmentReader::ensure(std::size_t bytes) {
    if (offset_ < buffer_at_ || offset_ > buffer_at_ + buffer_.size()) {
        buffer_.clear();
        buffer_at_ = offset_;
    }
    const auto used = static_cast<std::size_t>(offset_ - buffer_at_);
    if (buffer_.size() - used >= bytes) {
        return true;
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used));
    buffer_at_ = offset_;
    const std::size_t had = buffer_.size();
    buffer_.resize(std::max(bytes, k_read_bytes));
    const std::size_t got =
        read_at(fd_.get(), buffer_.data() + had, buffer_.size() - had, buffer_at_ + had, file_);
    buffer_.resize(had + got);
    return buffer_.size() >= bytes;
}

Found SegmentReader::next(Record& record) {
    const auto incomplete = [&] {
        // The file may grow, or be cut back by its writer: nothing of the tail is kept.
        buffer_.clear();
        buffer_at_ = offset_;
        return Found::wait;
    };
    if (!ensure(k_record_head_bytes)) {
        return incomplete();
    }
    const auto head = [&] {
        return View{buffer_}.subspan(static_cast<std::size_t>(offset_ - buffer_at_));
    };
    const std::size_t length = get_u32(head(), 0);
    const unsigned type = head()[4];
    const unsigned flags = head()[5];
    if (!is_plausible(type, flags, length)) {
        (void)incomplete();
        return Found::damaged;
    }
    const std::size_t total = k_record_head_bytes + length + sizeof(Hash);
    if (!ensure(total)) {
        return incomplete();
    }
    const View all = head().first(total);
    hasher_.begin();
    hasher_.add(chain_);
    hasher_.add(all.first(total - sizeof(Hash)));
    const Hash hash = hasher_.end();
    if (!std::equal(hash.begin(), hash.end(), all.end() - sizeof(Hash))) {
        (void)incomplete();
        return Found::damaged;
    }
    record.type = static_cast<RecordType>(type);
    record.body = all.subspan(k_record_head_bytes, length);
    if (flags == 1) {
        const std::size_t raw = get_u32(record.body, 0);
        if (raw > k_record_bytes_max) {
            return Found::damaged;
        }
        squeezer_.decompress(record.body.subspan(4), raw, raw_, file_);
        record.body = raw_;
    }
    if (record.type == RecordType::pages && record.body.size() % (header_.page_size + 4U) != 0) {
        return Found::damaged;
    }
    chain_ = hash;
    offset_ += total;
    return Found::record;
}

void SegmentReader::for_each_page(
    const Record& record,
    const std::function<void(std::uint32_t, View)>& page
) const {
    const std::size_t step = header_.page_size + 4U;
    for (std::size_t at = 0; at + step <= record.body.size(); at += step) {
        page(get_u32(record.body, at), record.body.subspan(at + 4, header_.page_size));
    }
}

}  // namespace tenon::capture
