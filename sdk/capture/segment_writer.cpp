// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/segment_writer.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace tenon::capture {
namespace {

constexpr std::size_t k_pages_bytes = std::size_t{1} << 20U;
constexpr std::size_t k_pending_bytes = std::size_t{4} << 20U;

std::string folder_of(const std::string& file) {
    return file.substr(0, file.rfind('/') + 1);
}

}  // namespace

// Under another name until its header is on disk: nobody sees a segment without one.
SegmentWriter::SegmentWriter(std::string file, const SegmentHeader& header, int level)
    : file_{std::move(file)}, level_{level} {
    const std::string part = file_ + ".part";
    ::unlink(part.c_str());
    fd_ = Descriptor{::open(part.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600)};
    if (!fd_.is_open()) {
        throw file_error("create", part);
    }
    const Bytes bytes = encode(header);
    try {
        write_all(fd_.get(), bytes, file_);
        sync();
        if (::link(part.c_str(), file_.c_str()) != 0) {  // unlike rename(2) it replaces nothing
            throw file_error("create", file_);
        }
    } catch (...) {
        ::unlink(part.c_str());
        throw;
    }
    ::unlink(part.c_str());
    sync_folder(folder_of(file_));
    at_ = safe_bytes_ = bytes.size();
    chain_ = safe_chain_ = hash_of(bytes);
}

SegmentWriter::SegmentWriter(std::string file, std::uint64_t bytes, const Hash& chain, int level)
    : file_{std::move(file)},
      fd_{::open(file_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC)},
      level_{level},
      at_{bytes},
      chain_{chain},
      safe_bytes_{bytes},
      safe_chain_{chain} {
    if (!fd_.is_open()) {
        throw file_error("open", file_);
    }
    is_torn_ = true;
    heal();
}

void SegmentWriter::add_page(std::uint32_t number, View page) {
    put_u32(pages_, number);
    pages_.insert(pages_.end(), page.begin(), page.end());
    if (pages_.size() >= k_pages_bytes) {
        flush_pages();
    }
}

void SegmentWriter::flush_pages() {
    if (pages_.empty()) {
        return;
    }
    const auto raw = static_cast<std::uint32_t>(pages_.size());
    if (level_ == 0) {
        record(RecordType::pages, pages_, 0);
    } else {
        Bytes body;
        put_u32(body, raw);
        const Bytes packed = squeezer_.compress(pages_, level_);
        body.insert(body.end(), packed.begin(), packed.end());
        record(RecordType::pages, body, raw);
    }
    pages_.clear();
}

void SegmentWriter::record(RecordType type, View body, std::uint32_t raw_bytes) {
    heal();
    const std::size_t begin = pending_.size();
    put_u32(pending_, static_cast<std::uint32_t>(body.size()));
    pending_.push_back(static_cast<unsigned char>(type));
    pending_.push_back(raw_bytes != 0 ? 1 : 0);
    pending_.push_back(0);
    pending_.push_back(0);
    pending_.insert(pending_.end(), body.begin(), body.end());
    hasher_.begin();
    hasher_.add(chain_);
    hasher_.add(View{pending_}.subspan(begin));
    chain_ = hasher_.end();
    pending_.insert(pending_.end(), chain_.begin(), chain_.end());
    if (pending_.size() >= k_pending_bytes) {
        flush();
    }
}

void SegmentWriter::flush() {
    needs_sync_ = true;
    is_torn_ = true;  // until it is whole
    write_all(fd_.get(), pending_, file_);
    is_torn_ = false;
    at_ += pending_.size();
    pending_.clear();
}

void SegmentWriter::finish() {
    flush();
    safe_bytes_ = at_;
    safe_chain_ = chain_;
}

void SegmentWriter::commit(const Commit& commit) {
    flush_pages();
    record(RecordType::commit, encode(commit), 0);
    finish();
}

void SegmentWriter::log_state(const LogState& state) {
    record(RecordType::log_state, encode(state), 0);
    finish();
}

void SegmentWriter::end(std::uint64_t last_txid) {
    Bytes body;
    put_u64(body, last_txid);
    record(RecordType::end, body, 0);
    finish();
    sync();
}

void SegmentWriter::sync() {
    if (::fdatasync(fd_.get()) != 0) {
        throw file_error("sync", file_);
    }
    needs_sync_ = false;
}

void SegmentWriter::give_up() noexcept {
    pages_.clear();
    pending_.clear();
    is_torn_ = is_torn_ || at_ != safe_bytes_;
    at_ = safe_bytes_;
    chain_ = safe_chain_;
}

void SegmentWriter::heal() {
    if (!is_torn_) {
        return;
    }
    if (::ftruncate(fd_.get(), static_cast<off_t>(safe_bytes_)) != 0) {
        throw file_error("cut", file_);
    }
    is_torn_ = false;
}

}  // namespace tenon::capture
