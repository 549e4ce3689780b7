// SPDX-License-Identifier: Apache-2.0
// A reader's transaction that stays open between callers while nobody has written.
//
// To begin and to end a read takes three system calls, more than most warm queries take in all. So
// a reader leaves its transaction open when it goes back to the pool, and the next caller goes on
// in it if the header of the WAL's index, which every commit of every process changes, is what it
// was. The header is compared in the memory that the processes share: no call, no lock. It is laid
// out as section 2.2 of SQLite's "WAL-mode File Format" says; nothing is taken from it but whether
// it changed.
//
// An open snapshot holds checkpoints up. Whoever checkpoints ends those that nobody uses and lets
// none be kept meanwhile (KeptSnapshots); the writer also does so twice a second.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

struct sqlite3;

namespace tenon::sqlite {

class Connection;

// The header of the WAL's index, of one connection.
class WalHeader {
public:
    // Two copies of 48 bytes; a commit is visible to others when it is in the first.
    using Words = std::array<std::uint64_t, 6>;

    // Of a connection that has read in WAL mode; else there is none, and false.
    [[nodiscard]] bool attach(sqlite3* db) noexcept;

    [[nodiscard]] bool is_attached() const noexcept { return shared_ != nullptr; }

    [[nodiscard]] Words now() const noexcept;

private:
    const std::uint64_t* shared_ = nullptr;
};

// The readers whose snapshots may be kept. Thread-safe; outlives them.
class KeptSnapshots {
public:
    void add(Connection& reader);
    void remove(Connection& reader) noexcept;

    [[nodiscard]] bool are_allowed() const noexcept {
        return allowed_.load(std::memory_order_acquire);
    }

    // Ends those that nobody uses.
    void end_all() noexcept;

    // None is kept while this lives.
    class Pause {
    public:
        explicit Pause(KeptSnapshots* all) noexcept : all_{all} {
            if (all_ != nullptr) {
                all_->allowed_.store(false, std::memory_order_release);
                all_->end_all();
            }
        }

        ~Pause() {
            if (all_ != nullptr) {
                all_->allowed_.store(true, std::memory_order_release);
            }
        }

        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;

    private:
        KeptSnapshots* all_;
    };

private:
    std::atomic<bool> allowed_{true};
    std::mutex mutex_;
    std::vector<Connection*> readers_;
};

}  // namespace tenon::sqlite
