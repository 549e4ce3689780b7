// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/internal/venue.hpp"

#include "plugins/venue/internal/snapshot_format.hpp"

#include <tenon/byte_codec.hpp>
#include <tenon/decimal.hpp>

#include <algorithm>

namespace tenon::internal {
namespace {

[[noreturn]] void refuse(tenon_status code, const ByteReader& in, const std::string& what) {
    throw Error{
        code, "state of the internal venue, byte " + std::to_string(in.offset()) + ": " + what};
}

void must(const ByteReader& in, bool condition, const char* what) {
    if (!in.ok() || !condition) {
        refuse(TENON_CORRUPT, in, in.ok() ? what : "ends too early");
    }
}

void read_side(ByteReader& in, Book& book, std::uint8_t side, std::uint16_t version) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        RestingOrder order;
        const auto price = in.get<std::int64_t>();
        order.order_id = in.get<std::uint64_t>();
        order.quantity = in.get<std::int64_t>();
        if (version >= 3) {
            order.account = in.get<std::uint32_t>();
            order.iceberg.hidden = in.get<std::int64_t>();
            order.iceberg.display = in.get<std::int64_t>();
        }
        const Iceberg& iceberg = order.iceberg;
        must(
            in,
            price > 0 && order.order_id != 0 && order.quantity > 0 && order.account <= INT32_MAX &&
                iceberg.hidden >= 0 && iceberg.hidden <= INT64_MAX - order.quantity &&
                iceberg.display >= 0 && (iceberg.hidden == 0 || iceberg.display > 0),
            "bad resting order"
        );
        must(in, book.restore(side, price, order), "an order is there twice");
    }
}

void read_triggers(ByteReader& in, Book& book) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto order_id = in.get<std::uint64_t>();
        const auto stop_price = in.get<std::int64_t>();
        const auto rising = in.get<std::uint8_t>();
        must(in, order_id != 0 && stop_price > 0 && rising <= 1, "bad waiting order");
        must(
            in, book.restore(Trigger{order_id, stop_price, rising == 1}), "an order is there twice"
        );
    }
}

void read_trailing(ByteReader& in, Book& book) {
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        Trailing order;
        order.order_id = in.get<std::uint64_t>();
        order.stop_price = in.get<std::int64_t>();
        const auto begins_rising = in.get<std::uint8_t>();
        const auto falls = in.get<std::uint8_t>();
        order.delta = in.get<std::uint32_t>();
        order.best = in.get<std::int64_t>();
        order.begins_rising = begins_rising == 1;
        order.falls = falls == 1;
        must(
            in,
            order.order_id != 0 && order.stop_price >= 0 && begins_rising <= 1 && falls <= 1 &&
                order.best >= 0 && order.best < INT64_MAX,
            "bad trailing stop"
        );
        must(in, book.restore(order), "a trailing stop is there twice, or its delta is wrong");
    }
}

[[nodiscard]] InternalVenue& of(void* self) noexcept {
    return *static_cast<InternalVenue*>(self);
}

}  // namespace

InternalVenue::InternalVenue(Service<tenon_instruments_1> instruments, std::string_view instance) {
    const std::uint32_t count = instruments->instrument_count(instruments.self);
    by_instrument_.resize(count);
    for (std::uint32_t id = 0; id < count; ++id) {
        const tenon_instrument* listed = instruments->instrument(instruments.self, id);
        if (listed == nullptr || view(listed->venue) != instance) {
            continue;
        }
        const tenon_asset* base = instruments->asset(instruments.self, listed->base);
        const tenon_asset* quote = instruments->asset(instruments.self, listed->quote);
        BookRules rules;
        rules.instrument = id;
        rules.base_unit = power_of_ten(base->scale - listed->quantity_scale);
        rules.quote_unit =
            power_of_ten(quote->scale - listed->price_scale - listed->quantity_scale);
        rules.step =
            std::max({std::int64_t{1}, listed->quantity_step, listed->market_quantity_step});
        rules_.push_back(rules);
    }
    make_books();
}

void InternalVenue::make_books() {
    books_.clear();
    books_.reserve(rules_.size());
    for (const BookRules& rules : rules_) {
        books_.emplace_back(rules).note_changes(live_);
        by_instrument_[rules.instrument] = &books_.back();
    }
}

void InternalVenue::submit(
    const tenon_venue_order& order,
    std::int64_t now_real_ns,
    tenon_venue_reports out
) {
    Book* const found = book(order.instrument);
    if (found == nullptr) {
        const tenon_venue_report report{
            sizeof report,
            TENON_REPORT_REJECTED,
            TENON_REJECT_UNKNOWN_INSTRUMENT,
            order.instrument,
            order.order_id,
            0,
            0,
            0};
        out.put(out.ctx, &report);
        return;
    }
    changed_ = true;
    changed_real_ns_ = now_real_ns;
    found->submit(order, now_real_ns, out);
}

void InternalVenue::cancel(
    std::uint64_t order_id,
    std::uint32_t instrument,
    std::int64_t now_real_ns,
    tenon_venue_reports out
) {
    if (Book* const found = book(instrument)) {
        changed_ = true;
        changed_real_ns_ = now_real_ns;
        found->cancel(order_id, out);
    }
}

bool InternalVenue::amend(std::uint64_t order_id, std::uint32_t instrument, std::int64_t quantity) {
    Book* const found = book(instrument);
    if (found == nullptr || !found->amend(order_id, quantity)) {
        return false;
    }
    changed_ = true;
    return true;
}

void InternalVenue::live() {
    live_ = true;
    for (Book& book : books_) {
        book.note_changes(true);
    }
    changed_ = false;
    feed_.restart();
    feed_.publish(books_, changed_real_ns_);
}

void InternalVenue::durable() {
    if (changed_) {
        changed_ = false;
        feed_.publish(books_, changed_real_ns_);
    }
}

void InternalVenue::subscribe(std::uint64_t handle, void* ctx, Feed::Callback fn) {
    feed_.add(handle, ctx, fn);
    if (live_ && !changed_) {
        feed_.publish(books_, changed_real_ns_);
    }
}

std::string InternalVenue::snapshot() const {
    std::string bytes;
    ByteWriter out{bytes};
    out.put(k_snapshot_magic);
    out.put(k_snapshot_version);
    out.put(std::uint16_t{0});
    out.put(static_cast<std::uint32_t>(books_.size()));
    for (const Book& book : books_) {
        out.put(book.rules().instrument);
        out.put(book.update_id());
        out.put(book.trade_id());
        for (const std::uint8_t side : k_sides) {
            const std::size_t at = out.size();
            std::uint32_t count = 0;
            out.put(count);
            book.for_each_order(side, [&](std::int64_t price, const RestingOrder& order) {
                ++count;
                out.put(price);
                out.put(order.order_id);
                out.put(order.quantity);
                out.put(order.account);
                out.put(order.iceberg.hidden);
                out.put(order.iceberg.display);
            });
            out.patch(at, count);
        }
        out.put(static_cast<std::uint32_t>(book.triggers().size()));
        book.triggers().for_each([&](const Trigger& trigger) {
            out.put(trigger.order_id);
            out.put(trigger.stop_price);
            out.put(static_cast<std::uint8_t>(trigger.rising));
        });
        out.put(static_cast<std::uint32_t>(book.trailing().size()));
        for (const Trailing& order : book.trailing().orders()) {
            out.put(order.order_id);
            out.put(order.stop_price);
            out.put(static_cast<std::uint8_t>(order.begins_rising));
            out.put(static_cast<std::uint8_t>(order.falls));
            out.put(order.delta);
            out.put(order.best);
        }
    }
    return bytes;
}

void InternalVenue::restore(std::string_view bytes) {
    std::vector<Book> books = std::move(books_);
    std::vector<Book*> by_instrument = by_instrument_;
    try {
        read(bytes);
    } catch (...) {
        books_ = std::move(books);
        by_instrument_ = std::move(by_instrument);
        throw;
    }
}

void InternalVenue::read(std::string_view bytes) {
    ByteReader in{bytes};
    must(in, in.get<std::uint32_t>() == k_snapshot_magic, "not the state of an internal venue");
    const auto version = in.get<std::uint16_t>();
    must(in, version >= 1 && version <= k_snapshot_version, "another version than 1 to 3");
    must(in, in.get<std::uint16_t>() == 0, "reserved bytes are set");
    make_books();
    const auto count = in.get<std::uint32_t>();
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto instrument = in.get<std::uint32_t>();
        const auto update_id = in.get<std::uint64_t>();
        const auto trade_id = in.get<std::uint64_t>();
        must(in, true, "");
        Book* const found = book(instrument);
        if (found == nullptr) {
            refuse(
                TENON_INVALID,
                in,
                "instrument " + std::to_string(instrument) + " is not executed here any more"
            );
        }
        must(
            in,
            found->resting() + found->triggers().size() + found->trailing().size() == 0,
            "a book is there twice"
        );
        read_side(in, *found, TENON_SIDE_BUY, version);
        read_side(in, *found, TENON_SIDE_SELL, version);
        if (version >= 2) {
            read_triggers(in, *found);
        }
        if (version >= 3) {
            read_trailing(in, *found);
        }
        found->restore_counters(update_id, trade_id);
        found->forget_notes();
    }
    must(in, in.at_end(), "bytes are left over");
}

std::uint64_t InternalVenue::hash() const {
    return hash64(snapshot());
}

std::size_t InternalVenue::resting() const noexcept {
    std::size_t sum = 0;
    for (const Book& book : books_) {
        sum += book.resting();
    }
    return sum;
}

std::size_t InternalVenue::waiting() const noexcept {
    std::size_t sum = 0;
    for (const Book& book : books_) {
        sum += book.triggers().size() + book.trailing().size();
    }
    return sum;
}

std::uint64_t InternalVenue::trade_count() const noexcept {
    std::uint64_t sum = 0;
    for (const Book& book : books_) {
        sum += book.trade_id();
    }
    return sum;
}

const tenon_venue_1 InternalVenue::k_table{
    sizeof(tenon_venue_1),
    k_takes,
    [](void*, tenon_iface, tenon_err*) noexcept -> tenon_status { return TENON_OK; },
    [](void* self) noexcept { (void)guard(nullptr, [&] { of(self).live(); }); },
    nullptr,
    [](void* self,
       const tenon_venue_order* order,
       tenon_bytes,
       std::int64_t now_real_ns,
       tenon_venue_reports out) noexcept { of(self).submit(*order, now_real_ns, out); },
    [](void* self,
       std::uint64_t order_id,
       std::uint32_t instrument,
       std::int64_t now_real_ns,
       tenon_venue_reports out) noexcept {
        of(self).cancel(order_id, instrument, now_real_ns, out);
    },
    nullptr,
    [](void* self) noexcept { (void)guard(nullptr, [&] { of(self).durable(); }); },
    [](void* self, tenon_sink sink, tenon_err* err) noexcept {
        return guard(err, [&]() -> tenon_status {
            const std::string bytes = of(self).snapshot();
            return sink.put(sink.ctx, tenon::bytes(bytes));
        });
    },
    [](void* self, tenon_bytes bytes, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).restore(view(bytes)); });
    },
    [](void* self) noexcept { return of(self).hash(); },
    nullptr,
    [](void* self, std::uint64_t order_id, std::uint32_t instrument, std::int64_t quantity
    ) noexcept -> tenon_status {
        return of(self).amend(order_id, instrument, quantity) ? TENON_OK : TENON_NOT_FOUND;
    },
    [](void* self, std::uint64_t order_id, std::uint32_t instrument, std::uint64_t account
    ) noexcept {
        if (Book* const book = of(self).book(instrument)) {
            book->owned(order_id, account);
        }
    }};

}  // namespace tenon::internal
