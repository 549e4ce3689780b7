// SPDX-License-Identifier: Apache-2.0
// What a database knows of its tables: their map, the query cache that depends on them, and whether
// others have to be told what is written.
//
// The map is forgotten when a statement changes the schema and loaded again beside the work; until
// then every write counts as one to everything and nothing new is cached. The cache is used while
// `trusted`: while this server hears what other servers write (table_listener.hpp).
//
// Thread-safe.
#pragma once

#include "plugins/storage/postgres/table_map.hpp"

#include <tenon/query_cache.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon::postgres {

// Where what is written is told to the other servers on the database.
inline constexpr const char* k_tables_channel = "tenon_tables";

class Tables {
public:
    // Of a statement: what it writes, as the map of that generation says.
    struct KnownWrites {
        std::uint64_t generation = 0;
        std::shared_ptr<const WriteUse> use;
    };

    explicit Tables(QueryCache::Settings settings) : cache_{settings} {}

    [[nodiscard]] QueryCache& cache() noexcept { return cache_; }

    [[nodiscard]] const QueryCache& cache() const noexcept { return cache_; }

    // Null: not known now.
    [[nodiscard]] std::shared_ptr<const TableMap> map() const;

    // Changes with the map. Never 0.
    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_.load(std::memory_order_acquire);
    }

    // The schema has changed, or may have.
    void forget();
    // What was loaded since generation() was `generation`; nothing when it is another by now.
    void take(std::shared_ptr<const TableMap> map, std::uint64_t generation);

    // Brings `known` up to date for the text.
    void find_writes(std::string_view sql, KnownWrites& known) const;

    // The plan said so at that generation. Null: not known at this one.
    [[nodiscard]] std::shared_ptr<const ReadUse> reads_of(std::string_view sql) const;
    void keep_reads(std::string_view sql, ReadUse use, std::uint64_t generation);

    // ---- other servers

    [[nodiscard]] bool is_trusted() const noexcept {
        return trusted_.load(std::memory_order_acquire);
    }

    // False: from now on nothing comes from the cache. True: what was there before does not.
    void trust(bool trusted) noexcept;

    [[nodiscard]] bool is_announcing() const noexcept {
        return announcing_.load(std::memory_order_acquire);
    }

    void announce(bool on) noexcept { announcing_.store(on, std::memory_order_release); }

    // Of this server, in what it announces.
    [[nodiscard]] const std::string& sender() const noexcept { return sender_; }

    // "SENDER *" for everything, "SENDER !" for the schema, "SENDER a b c" for tables.
    [[nodiscard]] std::string message_of(const WriteUse& use) const;
    // Takes one of another server; of its own nothing comes.
    void hear(std::string_view message);
    // Somebody outside has written the table.
    void outdate(const std::string& table);

private:
    static constexpr std::size_t k_reads_max = 1024;
    static constexpr std::size_t k_message_max = 7000;  // of 7999

    QueryCache cache_;
    const std::string sender_ = make_sender();
    std::atomic<std::uint64_t> generation_{1};
    std::atomic<bool> trusted_{false};
    std::atomic<bool> announcing_{true};
    mutable std::mutex mutex_;
    std::shared_ptr<const TableMap> map_;
    std::unordered_map<std::string, std::shared_ptr<const ReadUse>> reads_;

    [[nodiscard]] static std::string make_sender();
};

// What one transaction has written, and the marks in the cache while it commits.
class Touched {
public:
    explicit Touched(Tables* tables)
        : tables_{tables}, marks_{tables ? &tables->cache() : nullptr} {}

    // Before the statement is sent.
    void add(const Tables::KnownWrites& known) {
        if (tables_ == nullptr) {
            return;
        }
        use_.add(*known.use);
        changed_ = changed_ || (generation_ != 0 && generation_ != known.generation);
        generation_ = known.generation;
    }

    [[nodiscard]] bool empty() const noexcept { return use_.empty(); }

    [[nodiscard]] bool changes_schema() const noexcept { return use_.schema; }

    // What has to be told to other servers before the commit; "": nothing.
    [[nodiscard]] std::string message() const {
        return tables_ == nullptr || use_.empty() || !tables_->is_announcing()
                   ? std::string{}
                   : tables_->message_of(use_);
    }

    // The commit begins.
    void mark();
    // It is over, whatever came of it.
    void end() noexcept;
    // Nothing of it became visible.
    void drop() noexcept;

private:
    Tables* tables_;
    WriteMarks marks_;
    WriteUse use_;
    std::uint64_t generation_ = 0;
    bool changed_ = false;  // the map, meanwhile: what was found in it may be too little
};

}  // namespace tenon::postgres
