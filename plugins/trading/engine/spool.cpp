// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/spool.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <utility>

namespace tenon::engine {
namespace {

constexpr std::size_t k_frame_events = 512;
constexpr std::size_t k_flush_bytes = std::size_t{256} << 10;

template <class T>
void put_struct(std::string& out, const T& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Structs lie in the frame at multiples of 8, so that they can be used in place.
void align(std::string& out) {
    out.append((8 - out.size() % 8) % 8, '\0');
}

void put_text(std::string& out, std::string_view text) {
    out.append(text);
    align(out);
}

// Reads what put_struct and put_text wrote.
class FrameReader {
public:
    explicit FrameReader(std::span<const std::byte> frame) : at_{frame.data()} {}

    template <class T>
    T* get() {
        static_assert(sizeof(T) % 8 == 0);
        // The frame is a private copy, made by put_struct of the same type.
        auto* found = reinterpret_cast<T*>(const_cast<std::byte*>(at_));
        at_ += sizeof(T);
        return found;
    }

    const char* text(std::size_t size) {
        const auto* found = reinterpret_cast<const char*>(at_);
        at_ += (size + 7) / 8 * 8;
        return found;
    }

private:
    const std::byte* at_;
};

// A frame: u64 bytes after this, u64 events, then per event its struct (pointers are flags here)
// and the structs and texts it points to.
void put_event(std::string& out, const tenon_execution_event& event) {
    put_struct(out, event);
    if (event.order != nullptr) {
        put_struct(out, *event.order);
    }
    if (event.trade != nullptr) {
        put_struct(out, *event.trade);
    }
    if (event.balance != nullptr) {
        put_struct(out, *event.balance);
    }
    if (event.list != nullptr) {
        put_struct(out, *event.list);
    }
    if (event.prevented != nullptr) {
        put_struct(out, *event.prevented);
    }
    if (event.amendment != nullptr) {
        put_struct(out, *event.amendment);
    }
    if (event.ledger != nullptr) {
        put_struct(out, *event.ledger);
        put_text(out, view(event.ledger->reference));
    }
    if (event.account != nullptr) {
        put_struct(out, *event.account);
        put_text(out, view(event.account->name));
    }
    if (event.key != nullptr) {
        put_struct(out, *event.key);
        put_text(out, view(event.key->key));
        put_text(out, view(event.key->material));
        put_text(out, view(event.key->label));
        put_text(out, view(event.key->addresses));
    }
}

tenon_execution_event get_event(FrameReader& in) {
    tenon_execution_event event = *in.get<tenon_execution_event>();
    if (event.order != nullptr) {
        event.order = in.get<tenon_order>();
    }
    if (event.trade != nullptr) {
        event.trade = in.get<tenon_trade>();
    }
    if (event.balance != nullptr) {
        event.balance = in.get<tenon_balance>();
    }
    if (event.list != nullptr) {
        event.list = in.get<tenon_order_list>();
    }
    if (event.prevented != nullptr) {
        event.prevented = in.get<tenon_prevented_match>();
    }
    if (event.amendment != nullptr) {
        event.amendment = in.get<tenon_amendment>();
    }
    if (event.ledger != nullptr) {
        auto* ledger = in.get<tenon_ledger_entry>();
        ledger->reference.p = in.text(ledger->reference.n);
        event.ledger = ledger;
    }
    if (event.account != nullptr) {
        auto* account = in.get<tenon_account>();
        account->name.p = in.text(account->name.n);
        event.account = account;
    }
    if (event.key != nullptr) {
        auto* key = in.get<tenon_api_key>();
        key->key.p = in.text(key->key.n);
        key->material.p = in.text(key->material.n);
        key->label.p = in.text(key->label.n);
        key->addresses.p = in.text(key->addresses.n);
        event.key = key;
    }
    return event;
}

}  // namespace

Spool::Spool(journal::Disk& disk, std::string path)
    : disk_{disk}, path_{std::move(path)}, file_{disk_.open(path_, journal::OpenMode::create)} {}

void Spool::append(std::span<const tenon_execution_event> events) {
    while (!events.empty()) {
        std::size_t count = std::min(k_frame_events, events.size());
        // Commands stay whole: a frame ends where a new sequence begins.
        while (count < events.size() && events[count].sequence == events[count - 1].sequence) {
            ++count;
        }
        append_frame(events.first(count));
        events = events.subspan(count);
    }
    if (pending_.size() >= k_flush_bytes) {
        flush();
    }
}

void Spool::append_frame(std::span<const tenon_execution_event> events) {
    const std::size_t start = pending_.size();
    ByteWriter head{pending_};
    head.put(std::uint64_t{0});
    head.put(static_cast<std::uint64_t>(events.size()));
    for (const tenon_execution_event& event : events) {
        put_event(pending_, event);
    }
    head.patch(start, static_cast<std::uint64_t>(pending_.size() - start - 8));
}

void Spool::flush() {
    journal::require_ok(
        journal::write_all(
            *file_, std::as_bytes(std::span{pending_.data(), pending_.size()}), end_
        ),
        "cannot write",
        path_
    );
    end_ += pending_.size();
    pending_.clear();
}

std::span<const tenon_execution_event> Spool::front() {
    if (loaded_) {
        return events_;
    }
    if (begin_ == end_ && !pending_.empty()) {
        flush();
    }
    if (begin_ == end_) {
        return {};
    }
    std::uint64_t size = 0;
    const std::span<std::byte> head{reinterpret_cast<std::byte*>(&size), sizeof size};
    if (journal::read_all(*file_, head, begin_, path_) != sizeof size) {
        throw Error{TENON_CORRUPT, "the spool ends too early: " + path_};
    }
    frame_.resize(static_cast<std::size_t>(size));
    if (size > end_ - begin_ || journal::read_all(*file_, frame_, begin_ + 8, path_) != size) {
        throw Error{TENON_CORRUPT, "the spool ends too early: " + path_};
    }
    decode(frame_);
    loaded_ = true;
    return events_;
}

void Spool::decode(std::span<const std::byte> frame) {
    FrameReader in{frame};
    const auto count = *in.get<std::uint64_t>();
    events_.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
        events_.push_back(get_event(in));
    }
}

void Spool::pop() {
    begin_ += 8 + frame_.size();
    loaded_ = false;
    events_.clear();
    if (begin_ == end_) {
        begin_ = end_ = 0;
        journal::require_ok(file_->resize(0), "cannot empty", path_);
    }
}

}  // namespace tenon::engine
