// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/sqlite/capture.hpp"

#include "plugins/storage/sqlite/capture_base.hpp"
#include "sdk/capture/heartbeat.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <random>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::sqlite {
namespace {

constexpr std::int64_t k_sync_ns = 200 * k_ms;
constexpr std::int64_t k_beat_ns = 100 * k_ms;
constexpr std::int64_t k_retry_ns = 500 * k_ms;

}  // namespace

Capture::Capture(const Settings& settings, const Telemetry& telemetry)
    : settings_{settings}, telemetry_{telemetry} {}

Capture::~Capture() {
    stop();
}

void Capture::attach(Connection& writer) noexcept {
    writer_ = &writer;
    is_open_ = false;
    wal_.reset();
    segment_.reset();
    (void)attempt("open");
    writer.set_commit_listener(this);
}

void Capture::detach() noexcept {
    if (writer_ != nullptr) {
        writer_->set_commit_listener(nullptr);
        writer_ = nullptr;
    }
    wal_.reset();
    is_open_ = false;
}

// One process at a time; the descriptor holds the lock.
void Capture::begin_folder() {
    const std::string& folder = settings_.capture.folder;
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        throw capture::file_error("make the folder", folder);
    }
    if (lock_.is_open()) {
        return;
    }
    const std::string name = folder + "/lock";
    capture::Descriptor lock{::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    if (!lock.is_open()) {
        throw capture::file_error("open", name);
    }
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        throw Error{TENON_UNAVAILABLE, "another process writes to the capture folder " + folder};
    }
    lock_ = std::move(lock);
}

void Capture::open() {
    begin_folder();
    alive_ = {};
    beaten_ns_ = 0;
    wal_ = std::make_unique<capture::WalFile>(settings_.file, false);
    data_version_ = writer_->data_version();
    const capture::Listing all = capture::list(settings_.capture.folder);
    if (all.segments.empty() && all.bases.empty()) {
        std::random_device random;
        for (unsigned char& byte : uuid_) {
            byte = static_cast<unsigned char>(random());
        }
        epoch_ = 0;
        txid_ = 0;
        begin_epoch("the folder was empty");
    } else if (all.segments.empty()) {
        const capture::BaseHeader base = capture::read_base_header(all.bases.back().file);
        uuid_ = base.uuid;
        epoch_ = base.epoch;
        txid_ = base.txid;
        begin_epoch("the segments are gone");
    } else {
        resume_or_set_aside(all.segments.back());
    }
    next_base_ns_ = telemetry_.now_ns() + settings_.capture.base_s * 1000 * k_ms;
    needs_base_ = needs_base_ || all.bases.empty() || all.bases.back().epoch != epoch_;
    is_open_ = true;
}

// A segment whose header is damaged stays, under another name. How many commits it held is not
// known: the numbers go on far behind.
void Capture::resume_or_set_aside(const capture::Piece& piece) {
    constexpr std::uint64_t k_gap = std::uint64_t{1} << 32U;
    try {
        resume(piece);
    } catch (const Error& e) {
        if (e.code() != TENON_CORRUPT) {
            throw;
        }
        telemetry_.log.error("database_capture_damaged", {{"reason", e.what()}});
        const capture::Listing all = capture::list(settings_.capture.folder);
        if (!all.bases.empty()) {
            uuid_ = capture::read_base_header(all.bases.back().file).uuid;
        }
        const std::string aside = piece.file + ".damaged";
        if (::rename(piece.file.c_str(), aside.c_str()) != 0) {
            throw capture::file_error("rename", piece.file);
        }
        epoch_ = piece.epoch;
        txid_ = piece.txid + k_gap;
        segment_.reset();
        begin_epoch("the newest segment is damaged");
    }
}

// Goes on where the newest segment ends, if the log or the file shows that nothing is missing.
void Capture::resume(const capture::Piece& piece) {
    segment_.reset();
    capture::SegmentReader reader{piece.file};
    uuid_ = reader.header().uuid;
    epoch_ = reader.header().epoch;
    txid_ = reader.header().first_txid - 1;
    segment_first_ = reader.header().first_txid;
    std::uint64_t offset = reader.offset();
    capture::Hash chain = reader.chain();
    capture::LogState state;
    bool has_end = false;
    capture::Record record;
    while (reader.next(record) == capture::Found::record) {
        if (record.type == capture::RecordType::pages) {
            continue;
        }
        if (record.type == capture::RecordType::commit) {
            const capture::Commit commit = capture::decode_commit(record.body);
            txid_ = commit.txid;
            state = {{}, commit.place};
        } else if (record.type == capture::RecordType::log_state) {
            state = capture::decode_log_state(record.body);
        }
        has_end = record.type == capture::RecordType::end;
        offset = reader.offset();
        chain = reader.chain();
    }
    place_ = state.place;
    emptied_ = {};
    const bool is_emptied = state.stamp.inode != 0 && state.stamp == stamp();
    const bool goes_on = wal_->holds(place_) || is_emptied;
    if (reader.size() > offset) {  // the rest of a commit that was being taken down, or damage
        telemetry_.log.warn(
            "database_capture_cut",
            {{"file", piece.file}, {"at", offset}, {"bytes", reader.size() - offset}}
        );
    }
    if (!has_end) {
        segment_ = std::make_unique<capture::SegmentWriter>(
            piece.file, offset, chain, settings_.capture.zstd_level
        );
    }
    if (!goes_on || reader.header().page_size != writer_->page_size()) {
        begin_epoch("the database is not the one that was captured last, or was changed since");
        return;
    }
    if (is_emptied) {
        emptied_ = state.stamp;
    }
    segment_began_ns_ = telemetry_.now_ns();
    if (has_end) {
        begin_segment(chain);
    }
    txid_seen_.store(txid_, std::memory_order_release);
}

void Capture::begin_epoch(std::string_view why) {
    if (const std::unique_ptr<capture::SegmentWriter> old = std::move(segment_)) {
        old->give_up();
        old->end(txid_);
    }
    const capture::WalScan scan = wal_->scan({});
    ++epoch_;
    ++txid_;
    place_ = scan.commits.empty() ? scan.start : scan.commits.back().place;
    emptied_ = scan.commits.empty() ? stamp() : capture::FileStamp{};
    begin_segment(capture::genesis(uuid_, epoch_));
    broken_.clear();
    needs_base_ = true;
    epochs_.fetch_add(1, std::memory_order_relaxed);
    txid_seen_.store(txid_, std::memory_order_release);
    telemetry_.log.warn(
        "database_capture_epoch",
        {{"epoch", std::to_string(epoch_)}, {"after", std::to_string(txid_)}, {"reason", why}}
    );
}

void Capture::begin_segment(const capture::Hash& previous) {
    capture::SegmentHeader header;
    header.uuid = uuid_;
    header.epoch = epoch_;
    header.first_txid = txid_ + 1;
    header.page_size = writer_->page_size();
    header.real_ns = telemetry_.now_real_ns();
    header.previous = previous;
    const std::string name =
        capture::segment_name(settings_.capture.folder, epoch_, header.first_txid);
    auto fresh =
        std::make_unique<capture::SegmentWriter>(name, header, settings_.capture.zstd_level);
    fresh->log_state({emptied_, place_});
    segment_ = std::move(fresh);
    segment_first_ = header.first_txid;
    segment_began_ns_ = telemetry_.now_ns();
}

// A segment without a commit stays: its successor would have its name.
void Capture::rotate() {
    if (txid_ + 1 == segment_first_) {
        return;
    }
    // Whatever fails from here on, resume() finds what the file has become.
    const std::unique_ptr<capture::SegmentWriter> old = std::move(segment_);
    old->end(txid_);
    begin_segment(old->chain());
}

capture::FileStamp Capture::stamp() const {
    struct stat found {};

    if (::stat(settings_.file.c_str(), &found) != 0) {
        return {};
    }
    return {
        found.st_ino,
        static_cast<std::uint64_t>(found.st_size),
        std::int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

void Capture::follow() {
    if (!is_open_) {
        open();
    }
    if (!segment_) {  // a rotation that failed half-way
        open();
    }
    const capture::WalScan scan = wal_->scan(place_);
    const std::int64_t version = writer_->data_version();
    const bool is_foreign = version != data_version_;
    data_version_ = version;
    if (is_foreign) {
        foreign_.fetch_add(1, std::memory_order_relaxed);
        telemetry_.log.warn("database_foreign_write", {{"file", settings_.file}});
    }
    const bool is_anew = !scan.has_header ? place_.frame != 0 : scan.start != place_;
    if (is_anew && emptied_.inode == 0) {
        broken_ = "another connection emptied the log";
    }
    if (is_anew && is_foreign) {
        broken_ = "another connection wrote, and the log began anew";
    }
    if (!broken_.empty()) {
        begin_epoch(std::string{broken_});
        return;
    }
    if (is_foreign) {
        emptied_ = {};
    }
    take_down(scan);
}

void Capture::take_down(const capture::WalScan& scan) {
    for (const capture::WalCommit& commit : scan.commits) {
        const std::uint64_t before = segment_->bytes();
        try {
            wal_->read_frames(
                commit.first_frame,
                commit.place.frame,
                scan.page_size,
                [&](std::uint32_t number, capture::View page) { segment_->add_page(number, page); }
            );
            segment_->commit({txid_ + 1, telemetry_.now_real_ns(), commit.pages, commit.place});
        } catch (...) {
            segment_->give_up();
            throw;
        }
        ++txid_;
        place_ = commit.place;
        emptied_ = {};
        txid_seen_.store(txid_, std::memory_order_release);
        commits_.fetch_add(1, std::memory_order_relaxed);
        bytes_.fetch_add(segment_->bytes() - before, std::memory_order_relaxed);
        bytes_since_base_ += segment_->bytes() - before;
        if (segment_->bytes() >= std::uint64_t{settings_.capture.segment_mb} << 20U) {
            rotate();
        }
    }
}

// follow(), with the failure as the reason of the component's state. True: all is taken down.
bool Capture::attempt(std::string_view what) noexcept {
    try {
        follow();
        if (settings_.capture.before_acknowledge || telemetry_.now_ns() - synced_ns_ >= k_sync_ns) {
            sync();
        }
        beat();
        set_reason("");
        return true;
    } catch (const std::exception& e) {
        next_try_ns_ = telemetry_.now_ns() + k_retry_ns;
        (void
        )guard(nullptr, [&] { set_reason("capture, " + std::string{what} + ": " + e.what()); });
        return false;
    }
}

void Capture::sync() {
    if (segment_ && segment_->needs_sync()) {
        try {
            segment_->sync();
        } catch (...) {
            broken_ = "a segment could not be synced";  // what of it is on disk is not known
            throw;
        }
    }
    synced_ns_ = telemetry_.now_ns();
}

// For followers: everything up to here was captured now.
void Capture::beat() {
    const std::int64_t now = telemetry_.now_ns();
    if (now - beaten_ns_ < k_beat_ns) {
        return;
    }
    const std::string name = capture::heartbeat_name(settings_.capture.folder);
    if (!alive_.is_open()) {
        alive_ = capture::Descriptor{::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
        if (!alive_.is_open()) {
            throw capture::file_error("open", name);
        }
    }
    capture::write_heartbeat(alive_.get(), {txid_, telemetry_.now_real_ns()}, name);
    beaten_ns_ = now;
}

void Capture::set_reason(std::string_view reason) noexcept {
    if (reason == reason_) {
        return;
    }
    (void)guard(nullptr, [&] { reason_ = reason; });
    if (telemetry_.health) {
        telemetry_.health->set(
            telemetry_.health.self,
            str("capture"),
            reason.empty() ? TENON_HEALTHY : TENON_DEGRADED,
            str(reason_)
        );
    }
}

std::int64_t Capture::behind_mb() const {
    return std::int64_t{writer_->wal_frames()} * writer_->page_size() >> 20;
}

void Capture::require_room() {
    if (reason_.empty() || (telemetry_.now_ns() >= next_try_ns_ && attempt("again"))) {
        return;
    }
    if (settings_.capture.before_acknowledge) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "writes wait until they can be captured: " + reason_,
            Failure::retry_transaction};
    }
    if (behind_mb() >= settings_.capture.behind_mb) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            "the log holds " + std::to_string(behind_mb()) +
                " MB, of which not all is captured: " + reason_,
            Failure::retry_transaction};
    }
}

void Capture::committed() {
    const bool may_try = reason_.empty() || telemetry_.now_ns() >= next_try_ns_;
    const bool done = may_try && attempt("commit");
    if (!done && settings_.capture.before_acknowledge) {
        throw DatabaseError{
            TENON_IN_DOUBT, "committed, but not captured: " + reason_, Failure::in_doubt};
    }
}

bool Capture::make_durable() noexcept {
    return is_current() && guard(nullptr, [&] { sync(); }) == TENON_OK && broken_.empty();
}

bool Capture::before_checkpoint() noexcept {
    if ((!reason_.empty() && telemetry_.now_ns() < next_try_ns_) || !attempt("checkpoint")) {
        return false;
    }
    return make_durable();
}

void Capture::after_checkpoint(const Checkpoint& done) noexcept {
    const tenon_status noted = guard(nullptr, [&] {
        if (done.log_frames < 0 || done.log_frames != done.done_frames) {
            return;
        }
        const std::int64_t version = writer_->data_version();
        if (version != data_version_) {
            data_version_ = version;
            foreign_.fetch_add(1, std::memory_order_relaxed);
            broken_ = "another connection wrote while the log was emptied";
            return;
        }
        const capture::FileStamp now = stamp();
        if (segment_ && !(now == emptied_)) {
            segment_->log_state({now, place_});
        }
        emptied_ = now;
    });
    if (noted != TENON_OK) {
        if (segment_) {
            segment_->give_up();
        }
        emptied_ = stamp();
    }
}

void Capture::tick() noexcept {
    if (writer_ == nullptr) {
        return;
    }
    if (!attempt("idle")) {
        return;
    }
    try {
        sync();
        const std::int64_t now = telemetry_.now_ns();
        if (now - segment_began_ns_ >= settings_.capture.segment_s * 1000 * k_ms) {
            rotate();
            segment_began_ns_ = now;
        }
        if (base_ && base_->is_done()) {
            end_base();
        }
        const bool is_due = needs_base_ || now >= next_base_ns_ ||
                            bytes_since_base_ >= std::uint64_t{settings_.capture.keep_mb} << 19U;
        if (!base_ && is_due) {
            begin_base();
        }
    } catch (const std::exception& e) {
        (void)guard(nullptr, [&] { set_reason(std::string{"capture: "} + e.what()); });
    }
}

CaptureFigures Capture::figures() const noexcept {
    return {
        commits_.load(std::memory_order_relaxed),
        bytes_.load(std::memory_order_relaxed),
        foreign_.load(std::memory_order_relaxed),
        epochs_.load(std::memory_order_relaxed),
        bases_.load(std::memory_order_relaxed),
        txid()};
}

}  // namespace tenon::sqlite
