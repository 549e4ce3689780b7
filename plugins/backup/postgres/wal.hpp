// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's write-ahead log as pieces of a store.
//
// A piece is a stretch of one timeline within one block (half a segment of the usual size):
// "wal/TIMELINE-FROM-TO", hexadecimal positions (LSN). Its content is a line of JSON and the bytes.
// The line has marks: "up to this position everything is in that was committed by that time, and
// every order up to that number". When a block is full, one piece takes the place of its stretches.
// "history/TIMELINE" is PostgreSQL's own file of where a timeline branched off; "cluster" says
// whose log it is. "mark/TIMELINE" is a mark of what was stored before it was known: while nothing
// more is written there is no piece for it to go with.
#pragma once

#include "plugins/backup/postgres/clock.hpp"
#include "plugins/backup/postgres/pieces.hpp"

#include <optional>

namespace tenon::backup_postgres {

using Lsn = std::uint64_t;
using Timeline = std::uint32_t;

// No piece crosses a multiple of it, from which segments are multiples or parts.
inline constexpr std::uint64_t k_block_bytes = std::uint64_t{8} << 20U;

[[nodiscard]] std::string lsn_text(Lsn lsn);  // as PostgreSQL writes it: "0/3000028"
// Throws TENON_INVALID.
[[nodiscard]] Lsn lsn_of(std::string_view text);
// "000000010000000000000003"; of the segment that holds that position.
[[nodiscard]] std::string segment_name(Timeline timeline, Lsn lsn, std::uint64_t segment_bytes);

struct Mark {
    Lsn lsn = 0;
    std::int64_t real_ns = 0;  // the server's clock, Unix time
    std::int64_t order = 0;    // 0: not known

    bool operator==(const Mark&) const = default;
};

struct Stretch {
    Timeline timeline = 0;
    Lsn from = 0;
    Lsn to = 0;

    bool operator==(const Stretch&) const = default;

    [[nodiscard]] std::string name() const;
};

struct WalPiece {
    Stretch at;
    std::vector<Mark> marks;  // ascending
    std::string bytes;
};

// A branch of the history: this timeline from `begin` (0: its first) to `end`.
struct Branch {
    Timeline timeline = 0;
    Lsn begin = 0;
    Lsn end = UINT64_MAX;
};

// The branches that lead to a timeline, oldest first. `history` is PostgreSQL's file, empty for the
// first timeline. Throws TENON_CORRUPT.
[[nodiscard]] std::vector<Branch> branches_of(Timeline timeline, const std::string& history);

class WalStore {
public:
    explicit WalStore(Pieces& pieces) noexcept : pieces_{pieces} {}

    // The store belongs to that cluster from now on. Throws TENON_CONFLICT when it is another's.
    void claim(const std::string& system, std::uint64_t segment_bytes);
    // Throws TENON_NOT_FOUND: nothing was ever stored.
    [[nodiscard]] std::uint64_t segment_bytes();

    // Stores it and reads it back. Where it makes its block whole, the block becomes one piece.
    void put(const WalPiece& piece, std::uint64_t block_bytes = k_block_bytes);
    // In place of the one before it.
    void put_mark(Timeline timeline, const Mark& mark);
    // Throws TENON_CORRUPT.
    [[nodiscard]] std::optional<Mark> mark(Timeline timeline);
    void put_history(Timeline timeline, const std::string& text);
    [[nodiscard]] std::string history(Timeline timeline);  // "" for the first
    [[nodiscard]] WalPiece get(const Stretch& at);
    // By timeline and position; of two that begin alike the longer one comes last.
    [[nodiscard]] std::vector<Stretch> list();
    [[nodiscard]] Timeline newest_timeline();
    // Removes what lies before, on that timeline and all older ones.
    void prune(Timeline timeline, Lsn before);

private:
    void join(Timeline timeline, Lsn block, std::uint64_t block_bytes);

    Pieces& pieces_;
};

// The pieces that cover [from, …) of a timeline without a gap, in order; as far as there are any,
// and not beyond `end`.
[[nodiscard]] std::vector<Stretch>
run_of(const std::vector<Stretch>& all, Timeline timeline, Lsn from, Lsn end = UINT64_MAX);

}  // namespace tenon::backup_postgres
