// SPDX-License-Identifier: Apache-2.0
// The bases of a capture folder, and what of it may go.
#include "plugins/storage/sqlite/capture_base.hpp"

#include <unistd.h>

namespace tenon::sqlite {

SnapshotPages::SnapshotPages(
    const Settings& settings,
    const Telemetry& telemetry,
    const capture::WalPlace& place
)
    : reader_{settings, telemetry, Role::reader},
      wal_{settings.file, false},
      place_{place},
      page_size_{reader_.page_size()} {
    pages_ = static_cast<std::uint32_t>(reader_.pin_snapshot() / page_size_);
    const capture::WalScan scan = wal_.scan({});
    for (const capture::WalCommit& commit : scan.commits) {
        std::uint32_t frame = commit.first_frame;
        wal_.read_frames(
            commit.first_frame,
            commit.place.frame,
            page_size_,
            [&](std::uint32_t number, capture::View) { frames_[number] = frame++; }
        );
    }
    const bool is_same = scan.commits.empty()
                             ? !scan.has_header || scan.start == place || place.frame == 0
                             : scan.commits.back().place == place;
    if (!is_same) {
        throw Error{TENON_UNAVAILABLE, "somebody wrote while a base was begun; it is tried again"};
    }
}

void SnapshotPages::read(std::uint32_t number, unsigned char* to) const {
    const auto found = frames_.find(number);
    if (found == frames_.end()) {
        reader_.read_file(std::uint64_t{number - 1} * page_size_, to, page_size_);
        return;
    }
    wal_.read_frames(
        found->second,
        found->second,
        page_size_,
        [&](std::uint32_t, capture::View page) { std::copy(page.begin(), page.end(), to); }
    );
}

void SnapshotPages::require_unchanged() const {
    if (!frames_.empty() && !wal_.begins_like(place_)) {
        throw Error{TENON_UNAVAILABLE, "the log began anew while a base was made"};
    }
}

void Capture::BaseWork::run(int level) noexcept {
    try {
        capture::write_base(
            file,
            header,
            [&](std::uint32_t number, unsigned char* to) { pages->read(number, to); },
            level,
            [&](std::uint64_t at, std::uint64_t all) {
                if (at == all) {
                    pages->require_unchanged();
                }
                return !cancelled.load(std::memory_order_relaxed);
            }
        );
    } catch (const std::exception& e) {
        (void)guard(nullptr, [&] { error = e.what(); });
    }
    done.store(true, std::memory_order_release);
}

// Called when everything is captured.
void Capture::begin_base() {
    rotate();
    auto work = std::make_unique<BaseWork>();
    {
        const KeptSnapshots::Pause pause{telemetry_.snapshots};
        work->pages = std::make_unique<SnapshotPages>(settings_, telemetry_, place_);
    }
    const capture::SegmentReader segment{segment_->file()};
    work->file = capture::base_name(settings_.capture.folder, epoch_, txid_);
    work->header.uuid = uuid_;
    work->header.epoch = epoch_;
    work->header.txid = txid_;
    work->header.real_ns = telemetry_.now_real_ns();
    work->header.page_size = writer_->page_size();
    work->header.pages = work->pages->pages();
    work->header.chain = segment.header().previous;
    base_ = std::move(work);
    base_->thread = std::thread{
        [work_now = base_.get(), level = settings_.capture.zstd_level] { work_now->run(level); }};
}

void Capture::end_base() noexcept {
    if (!base_) {
        return;
    }
    const std::unique_ptr<BaseWork> work = std::move(base_);
    work->thread.join();
    const std::int64_t now = telemetry_.now_ns();
    if (!work->error.empty()) {
        next_base_ns_ = now + 5'000 * k_ms;
        needs_base_ = false;  // by the time, then
        telemetry_.log.warn("database_base_failed", {{"reason", work->error}});
        return;
    }
    bases_.fetch_add(1, std::memory_order_relaxed);
    needs_base_ = work->header.epoch != epoch_;
    bytes_since_base_ = 0;
    next_base_ns_ = now + settings_.capture.base_s * 1000 * k_ms;
    telemetry_.log.info("database_base", {{"file", work->file}});
    (void)guard(nullptr, [&] { prune(); });
}

// Oldest first: a base with its segments goes when the next one is older than what is kept, or when
// there is too much; the newest stays.
void Capture::prune() {
    capture::Listing all = capture::list(settings_.capture.folder);
    std::uint64_t bytes = 0;
    for (const auto* pieces : {&all.bases, &all.segments}) {
        for (const capture::Piece& piece : *pieces) {
            bytes += piece.bytes;
        }
    }
    const std::int64_t oldest = telemetry_.now_real_ns() - settings_.capture.keep_s * 1000 * k_ms;
    for (std::size_t i = 0; i + 1 < all.bases.size(); ++i) {
        const capture::Piece& next = all.bases[i + 1];
        const bool is_much = bytes > std::uint64_t{settings_.capture.keep_mb} << 20U;
        if (!is_much && capture::read_base_header(next.file).real_ns >= oldest) {
            break;
        }
        const auto drop = [&](const capture::Piece& piece) {
            if (::unlink(piece.file.c_str()) == 0) {
                bytes -= piece.bytes;
                telemetry_.log.info("database_capture_pruned", {{"file", piece.file}});
            }
        };
        drop(all.bases[i]);
        for (const capture::Piece& segment : all.segments) {
            const bool is_before = segment.epoch < next.epoch ||
                                   (segment.epoch == next.epoch && segment.txid <= next.txid);
            if (is_before) {
                drop(segment);
            }
        }
    }
}

void Capture::stop() noexcept {
    if (base_) {
        base_->cancelled.store(true, std::memory_order_relaxed);
        end_base();
    }
    if (writer_ != nullptr && is_open_) {
        (void)guard(nullptr, [&] { sync(); });
    }
    detach();
    segment_.reset();
}

}  // namespace tenon::sqlite
