// SPDX-License-Identifier: Apache-2.0
#include "sdk/capture/folder.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <tuple>
#include <unistd.h>

namespace tenon::capture {
namespace {

constexpr std::size_t k_kept_bytes = std::size_t{16} << 20U;

std::string digits_of(std::uint64_t value) {
    Bytes bytes;
    put_u64(bytes, value);
    std::reverse(bytes.begin(), bytes.end());
    return hex_of(bytes);
}

std::string name_of(
    const std::string& folder,
    const char* prefix,
    std::uint64_t epoch,
    std::uint64_t txid,
    const char* suffix
) {
    return folder + "/" + prefix + digits_of(epoch) + "-" + digits_of(txid) + suffix;
}

// PREFIX 16 digits - 16 digits SUFFIX
bool parse(std::string_view name, std::string_view prefix, std::string_view suffix, Piece& piece) {
    constexpr std::size_t k_digits = 16;
    if (name.size() != prefix.size() + 2 * k_digits + 1 + suffix.size() ||
        name.substr(0, prefix.size()) != prefix ||
        name.substr(name.size() - suffix.size()) != suffix ||
        name[prefix.size() + k_digits] != '-') {
        return false;
    }
    const char* const first = name.data() + prefix.size();
    const char* const second = first + k_digits + 1;
    const auto one = std::from_chars(first, first + k_digits, piece.epoch, 16);
    const auto two = std::from_chars(second, second + k_digits, piece.txid, 16);
    return one.ptr == first + k_digits && two.ptr == second + k_digits;
}

bool exists(const std::string& file) {
    return ::access(file.c_str(), F_OK) == 0;
}

}  // namespace

std::string base_name(const std::string& folder, std::uint64_t epoch, std::uint64_t txid) {
    return name_of(folder, "base-", epoch, txid, ".base");
}

std::string segment_name(const std::string& folder, std::uint64_t epoch, std::uint64_t first_txid) {
    return name_of(folder, "segment-", epoch, first_txid, ".seg");
}

Listing list(const std::string& folder) {
    Listing listing;
    std::error_code error;
    std::filesystem::directory_iterator it{folder, error};
    if (error) {
        throw Error{TENON_UNAVAILABLE, "cannot read the folder " + folder + ": " + error.message()};
    }
    for (const auto& entry : it) {
        const std::string name = entry.path().filename().string();
        Piece piece;
        piece.file = folder + "/" + name;
        std::error_code gone;  // pruned meanwhile
        piece.bytes = entry.file_size(gone);
        if (gone) {
            continue;
        }
        if (parse(name, "base-", ".base", piece)) {
            listing.bases.push_back(piece);
        } else if (parse(name, "segment-", ".seg", piece)) {
            listing.segments.push_back(piece);
        }
    }
    const auto order = [](const Piece& a, const Piece& b) {
        return std::tie(a.epoch, a.txid) < std::tie(b.epoch, b.txid);
    };
    std::sort(listing.bases.begin(), listing.bases.end(), order);
    std::sort(listing.segments.begin(), listing.segments.end(), order);
    return listing;
}

Walker::Walker(std::string folder, const BaseHeader& base)
    : folder_{std::move(folder)},
      epoch_{base.epoch},
      txid_{base.txid},
      hash_{base.chain},
      previous_{base.chain},
      page_size_{base.page_size} {}

Walker::Walker(std::string folder, std::uint64_t epoch, std::uint64_t txid, const Hash& hash)
    : folder_{std::move(folder)}, epoch_{epoch}, txid_{txid}, hash_{hash}, previous_{hash} {
    const std::string after = segment_name(folder_, epoch_, txid_ + 1);
    if (exists(after)) {  // it was a base, or the last commit of a segment
        SegmentReader next{after};
        if (next.header().previous == hash_) {
            page_size_ = next.header().page_size;
            return;
        }
    }
    const Listing all = list(folder_);
    const Piece* holder = nullptr;
    for (const Piece& piece : all.segments) {
        holder = piece.epoch == epoch_ && piece.txid <= txid_ ? &piece : holder;
    }
    if (holder == nullptr) {
        throw Error{
            TENON_NOT_FOUND,
            "no segment of " + folder_ + " holds commit " + std::to_string(txid_) + " any more"};
    }
    reader_ = std::make_unique<SegmentReader>(holder->file);
    page_size_ = reader_->header().page_size;
    txid_ = holder->txid - 1;
    while (txid_ < txid) {
        if (!next({})) {
            throw Error{
                TENON_NOT_FOUND,
                holder->file + " does not hold commit " + std::to_string(txid) + " any more"};
        }
    }
    if (hash_ != hash) {
        throw Error{
            TENON_CORRUPT,
            holder->file + ": commit " + std::to_string(txid) + " is another one than before"};
    }
}

bool Walker::has_later() const {
    const Listing all = list(folder_);
    const std::uint64_t after = reader_ ? std::max(reader_->header().first_txid, txid_) : txid_;
    return std::any_of(all.segments.begin(), all.segments.end(), [&](const Piece& piece) {
        return piece.epoch == epoch_ && piece.txid > after;
    });
}

bool Walker::require_segment() {
    if (reader_) {
        return true;
    }
    const std::string name = segment_name(folder_, epoch_, txid_ + 1);
    if (!exists(name)) {
        if (has_later() && !exists(name)) {
            throw Error{TENON_NOT_FOUND, name + " is missing"};
        }
        return false;
    }
    auto reader = std::make_unique<SegmentReader>(name);
    const SegmentHeader& header = reader->header();
    if (header.epoch != epoch_ || header.first_txid != txid_ + 1 || header.previous != previous_ ||
        header.page_size != page_size_) {
        throw Error{TENON_CORRUPT, name + " does not follow what is before it"};
    }
    reader_ = std::move(reader);
    return true;
}

// A record, or that there is none yet. Throws when there will never be.
Found Walker::read(Record& record) {
    Found found = reader_->next(record);
    if (found == Found::wait && has_later()) {
        found = reader_->next(record);  // it may have been finished meanwhile
        if (found == Found::wait) {
            throw Error{TENON_CORRUPT, reader_->file() + " is cut short"};
        }
    }
    if (found == Found::damaged) {
        throw Error{
            TENON_CORRUPT,
            reader_->file() + " is damaged at byte " + std::to_string(reader_->offset())};
    }
    return found;
}

// Whether a whole commit follows; it is in known_ then, and the reader behind it.
bool Walker::look() {
    if (known_) {
        return true;
    }
    Record record;
    std::size_t bytes = 0;
    kept_.clear();
    keeps_all_ = true;
    if (!require_segment()) {
        return false;
    }
    begin_ = {reader_->offset(), reader_->chain()};
    for (;;) {
        if (read(record) != Found::record) {
            reader_->seek(begin_.offset, begin_.chain);
            return false;
        }
        switch (record.type) {
            case RecordType::pages:
                bytes += record.body.size();
                keeps_all_ = keeps_all_ && bytes <= k_kept_bytes;
                if (keeps_all_) {
                    kept_.emplace_back(record.body.begin(), record.body.end());
                }
                break;
            case RecordType::commit:
                known_ = decode_commit(record.body);
                if (known_->txid != txid_ + 1) {
                    throw Error{TENON_CORRUPT, reader_->file() + ": its commits have a gap"};
                }
                after_ = {reader_->offset(), reader_->chain()};
                return true;
            case RecordType::log_state:
                begin_ = {reader_->offset(), reader_->chain()};
                break;
            case RecordType::end:
                if (get_u64(record.body, 0) != txid_) {
                    throw Error{TENON_CORRUPT, reader_->file() + ": it lacks commits"};
                }
                previous_ = reader_->chain();
                reader_.reset();
                if (!require_segment()) {
                    return false;
                }
                begin_ = {reader_->offset(), reader_->chain()};
                break;
        }
    }
}

void Walker::take(const Commit& commit) noexcept {
    txid_ = commit.txid;
    hash_ = after_.chain;
    known_.reset();
    kept_.clear();
}

std::optional<Commit> Walker::peek() {
    return look() ? known_ : std::nullopt;
}

std::optional<Commit> Walker::next(const std::function<void(std::uint32_t, View)>& page) {
    if (!look()) {
        return std::nullopt;
    }
    const Commit commit = *known_;
    if (page && keeps_all_) {
        for (const Bytes& pages : kept_) {
            reader_->for_each_page({RecordType::pages, pages}, page);
        }
    } else if (page) {
        reader_->seek(begin_.offset, begin_.chain);
        Record record;
        while (read(record) == Found::record && record.type != RecordType::commit) {
            reader_->for_each_page(record, page);
        }
        if (reader_->chain() != after_.chain) {
            throw Error{TENON_CORRUPT, reader_->file() + " changed while it was read"};
        }
    }
    take(commit);
    return commit;
}

BaseHeader choose_base(const std::string& folder, const Target& target, std::string& file) {
    const Listing all = list(folder);
    for (auto piece = all.bases.rbegin(); piece != all.bases.rend(); ++piece) {
        if (target.txid != 0 && piece->txid > target.txid) {
            continue;
        }
        const BaseHeader header = read_base_header(piece->file);
        if (header.epoch != piece->epoch || header.txid != piece->txid) {
            throw Error{TENON_CORRUPT, piece->file + " is another base than its name says"};
        }
        if (target.txid != 0 || target.real_ns == 0 || header.real_ns <= target.real_ns) {
            file = piece->file;
            return header;
        }
    }
    throw Error{
        TENON_NOT_FOUND,
        all.bases.empty() ? folder + " holds no base yet"
                          : "the oldest base of " + folder + " is newer than the wanted state"};
}

namespace {

void apply(
    Walker& walker,
    const Target& target,
    int fd,
    const std::string& file,
    Position& at,
    const std::function<void()>& require_going_on
) {
    std::uint32_t put_pages = 0;
    const auto put = [&](std::uint32_t number, View page) {
        if (++put_pages % 1024 == 0) {
            require_going_on();
        }
        const auto offset = std::uint64_t{number - 1} * page.size();
        std::size_t done = 0;
        while (done < page.size()) {
            const ssize_t wrote = ::pwrite(
                fd, page.data() + done, page.size() - done, static_cast<off_t>(offset + done)
            );
            if (wrote <= 0 && errno != EINTR) {
                throw file_error("write", file);
            }
            done += wrote > 0 ? static_cast<std::size_t>(wrote) : 0;
        }
    };
    while (target.txid == 0 || at.txid < target.txid) {
        require_going_on();
        const auto coming = walker.peek();
        if (!coming ||
            (target.txid == 0 && target.real_ns != 0 && coming->real_ns > target.real_ns)) {
            return;
        }
        (void)walker.next(put);
        at.txid = coming->txid;
        at.real_ns = coming->real_ns;
        at.pages = coming->pages;
    }
}

}  // namespace

Position restore(
    const std::string& folder,
    const Target& target,
    const std::string& file,
    const Progress& progress
) {
    std::string base;
    const BaseHeader wanted = choose_base(folder, target, base);
    const BaseHeader header = unpack_base(base, file, progress);
    Position at{
        header.uuid, header.epoch, header.txid, header.real_ns, header.page_size, header.pages};
    try {
        const Descriptor fd{::open(file.c_str(), O_RDWR | O_CLOEXEC)};
        if (!fd.is_open()) {
            throw file_error("open", file);
        }
        Walker walker{folder, wanted};
        const std::uint64_t size = std::uint64_t{header.pages} * header.page_size;
        apply(walker, target, fd.get(), file, at, [&] {
            if (progress && !progress(size, size)) {
                throw Error{TENON_UNAVAILABLE, "stopped"};
            }
        });
        if (at.txid < target.txid) {
            throw Error{
                TENON_NOT_FOUND,
                folder + " reaches commit " + std::to_string(at.txid) +
                    ", wanted: " + std::to_string(target.txid)};
        }
        if (::ftruncate(fd.get(), static_cast<off_t>(std::uint64_t{at.pages} * at.page_size)) !=
                0 ||
            ::fsync(fd.get()) != 0) {
            throw file_error("finish", file);
        }
    } catch (...) {
        ::unlink(file.c_str());
        throw;
    }
    return at;
}

}  // namespace tenon::capture
