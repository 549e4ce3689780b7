// SPDX-License-Identifier: Apache-2.0
// Takes down every commit of the database, in order, before the log that holds it may be emptied.
//
// The writer calls follow() after its commits: the new frames of the write-ahead log, each checked,
// go into the segments of the capture folder (sdk/capture/format.hpp). Since the writer is also the
// only one that checkpoints, and asks before_checkpoint() first, a checkpoint never destroys a
// commit that was not taken down. What other connections commit is in the log too and is taken
// down as well, and told; when somebody else may have emptied the log, or the file is another one,
// an epoch begins, with a base. A base is copied from a snapshot, by a thread of its own.
//
// Used by the thread that writes: the writer's, or a lessee's while the writer waits for it.
// txid() and figures() may be called by any.
#pragma once

#include "plugins/storage/sqlite/connection.hpp"
#include "sdk/capture/folder.hpp"
#include "sdk/capture/segment_writer.hpp"
#include "sdk/capture/wal.hpp"

#include <atomic>
#include <thread>

namespace tenon::sqlite {

struct CaptureFigures {
    std::uint64_t commits = 0;
    std::uint64_t bytes = 0;
    std::uint64_t foreign = 0;  // times that another connection had written
    std::uint64_t epochs = 0;   // begun by this process
    std::uint64_t bases = 0;
    std::uint64_t txid = 0;
};

class Capture final : public CommitListener {
public:
    Capture(const Settings& settings, const Telemetry& telemetry);
    ~Capture() override;
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    // The writer's connection was opened. What cannot be done now is tried again by tick().
    void attach(Connection& writer) noexcept;
    void detach() noexcept;
    // Throws DatabaseError while writes have to wait: too much of the log is not taken down.
    void require_room();
    // After a commit of the connection. Throws DatabaseError (in doubt) when the commit had to be
    // taken down before its acknowledgement and was not.
    void committed() override;
    // Everything that was committed is taken down and on disk.
    [[nodiscard]] bool make_durable() noexcept;
    // The same, and the log may be emptied.
    [[nodiscard]] bool before_checkpoint() noexcept;
    void after_checkpoint(const Checkpoint& done) noexcept;
    // Now and then.
    void tick() noexcept;
    void stop() noexcept;

    // Of the newest commit that was taken down.
    [[nodiscard]] std::uint64_t txid() const noexcept {
        return txid_seen_.load(std::memory_order_acquire);
    }

    // The writer's newest commit is taken down.
    [[nodiscard]] bool is_current() const noexcept { return reason_.empty(); }

    [[nodiscard]] CaptureFigures figures() const noexcept;

private:
    struct BaseWork;

    void open();
    void resume(const capture::Piece& piece);
    void resume_or_set_aside(const capture::Piece& piece);
    void begin_folder();
    void begin_epoch(std::string_view why);
    void begin_segment(const capture::Hash& previous);
    void rotate();
    void follow();
    void take_down(const capture::WalScan& scan);
    bool attempt(std::string_view what) noexcept;
    void sync();
    void beat();
    void begin_base();
    void end_base() noexcept;
    void prune();
    void set_reason(std::string_view reason) noexcept;
    [[nodiscard]] capture::FileStamp stamp() const;
    [[nodiscard]] std::int64_t behind_mb() const;

    const Settings& settings_;
    const Telemetry& telemetry_;
    Connection* writer_ = nullptr;
    capture::Descriptor lock_;
    capture::Descriptor alive_;
    std::unique_ptr<capture::WalFile> wal_;
    std::unique_ptr<capture::SegmentWriter> segment_;
    std::array<unsigned char, 16> uuid_{};
    std::uint64_t epoch_ = 0;
    std::uint64_t txid_ = 0;
    std::uint64_t segment_first_ = 0;
    std::int64_t segment_began_ns_ = 0;
    std::int64_t synced_ns_ = 0;
    std::int64_t beaten_ns_ = 0;
    capture::WalPlace place_;
    // With an inode: everything up to place_ is in the file that has this stamp, and the log may
    // begin anew.
    capture::FileStamp emptied_;
    std::int64_t data_version_ = 0;
    bool is_open_ = false;
    std::string reason_;
    std::string broken_;  // why the next epoch has to begin; empty: it has not to
    std::unique_ptr<BaseWork> base_;
    bool needs_base_ = false;
    std::int64_t next_base_ns_ = 0;
    std::uint64_t bytes_since_base_ = 0;
    std::int64_t next_try_ns_ = 0;
    std::atomic<std::uint64_t> txid_seen_{0};
    std::atomic<std::uint64_t> commits_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> foreign_{0};
    std::atomic<std::uint64_t> epochs_{0};
    std::atomic<std::uint64_t> bases_{0};
};

}  // namespace tenon::sqlite
