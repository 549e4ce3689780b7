// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/tables.hpp"

#include <tenon/sql_fingerprint.hpp>

#include <random>

namespace tenon::postgres {

std::string Tables::make_sender() {
    std::random_device device;
    return hex_of(std::uint64_t{device()} << 32U | device());
}

std::shared_ptr<const TableMap> Tables::map() const {
    const std::lock_guard lock{mutex_};
    return map_;
}

void Tables::forget() {
    const std::lock_guard lock{mutex_};
    generation_.fetch_add(1, std::memory_order_acq_rel);
    map_.reset();
    reads_.clear();
}

void Tables::take(std::shared_ptr<const TableMap> map, std::uint64_t generation) {
    const std::lock_guard lock{mutex_};
    if (generation_.load(std::memory_order_acquire) == generation && !map_) {
        // Writes that were looked up without a map are looked up again.
        generation_.fetch_add(1, std::memory_order_acq_rel);
        map_ = std::move(map);
    }
}

void Tables::find_writes(std::string_view sql, KnownWrites& known) const {
    if (known.use && known.generation == generation()) {
        return;
    }
    std::shared_ptr<const TableMap> map;
    {
        const std::lock_guard lock{mutex_};
        known.generation = generation();
        map = map_;
    }
    known.use = std::make_shared<const WriteUse>(map ? map->writes_of(sql) : writes_blindly(sql));
}

std::shared_ptr<const ReadUse> Tables::reads_of(std::string_view sql) const {
    const std::lock_guard lock{mutex_};
    const auto known = reads_.find(std::string{sql});
    return known == reads_.end() ? nullptr : known->second;
}

void Tables::keep_reads(std::string_view sql, ReadUse use, std::uint64_t generation) {
    const std::lock_guard lock{mutex_};
    if (generation_.load(std::memory_order_acquire) != generation) {
        return;
    }
    if (reads_.size() >= k_reads_max) {
        reads_.clear();
    }
    reads_[std::string{sql}] = std::make_shared<const ReadUse>(std::move(use));
}

void Tables::trust(bool trusted) noexcept {
    if (trusted) {
        cache_.invalidate_all();
    }
    trusted_.store(trusted, std::memory_order_release);
}

std::string Tables::message_of(const WriteUse& use) const {
    if (use.schema || use.everything) {
        return sender_ + (use.schema ? " !" : " *");
    }
    std::string out = sender_;
    for (const std::string& table : use.tables) {
        // A name with a blank in it is rare: everything, then.
        if (out.size() + table.size() > k_message_max || table.find(' ') != std::string::npos) {
            return sender_ + " *";
        }
        out.append(" ").append(table);
    }
    return out;
}

void Tables::hear(std::string_view message) {
    std::size_t at = std::min(message.find(' '), message.size());
    if (message.substr(0, at) == sender_) {
        return;
    }
    while (at < message.size()) {
        const std::size_t end = std::min(message.find(' ', at + 1), message.size());
        const std::string_view word = message.substr(at + 1, end - at - 1);
        if (word == "!") {
            forget();
        }
        if (word == "!" || word == "*") {
            cache_.invalidate_all();
        } else {
            outdate(std::string{word});
        }
        at = end;
    }
}

void Tables::outdate(const std::string& table) {
    WriteMarks marks{&cache_};
    marks.add(QueryCache::slot_of(table));
}

void Touched::mark() {
    if (tables_ == nullptr || use_.empty()) {
        return;
    }
    changed_ = changed_ || tables_->generation() != generation_;
    if (use_.everything || changed_) {
        marks_.add(QueryCache::k_everything);
    }
    for (const std::string& table : use_.tables) {
        marks_.add(QueryCache::slot_of(table));
    }
}

// A reader that sees the mark gone must see the map gone, too. A map that went while the commit was
// under way may have hidden what a new trigger wrote.
void Touched::end() noexcept {
    if (tables_ != nullptr && !use_.empty()) {
        if (use_.schema) {
            (void)guard(nullptr, [&] { tables_->forget(); });
        }
        if (tables_->generation() != generation_) {
            tables_->cache().invalidate_all();
        }
    }
    marks_.end();
    drop();
}

void Touched::drop() noexcept {
    use_.tables.clear();
    use_.everything = false;
    use_.schema = false;
    generation_ = 0;
    changed_ = false;
}

}  // namespace tenon::postgres
