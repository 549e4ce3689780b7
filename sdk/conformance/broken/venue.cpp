// SPDX-License-Identifier: Apache-2.0
// A venue of one book an instrument by price and time: the reference of the venue suite, and what
// it looks like when a rule is broken. Plain rather than fast.
#include "sdk/conformance/broken/fault.hpp"

#include <tenon/abi/instruments.h>
#include <tenon/abi/venue.h>
#include <tenon/byte_codec.hpp>
#include <tenon/decimal.hpp>
#include <tenon/plugin.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tenon::broken {
namespace {

constexpr std::uint32_t k_magic = 0x564b5242;

struct Resting {
    std::uint64_t order_id;
    std::int64_t price, quantity, funds;
    std::uint8_t side;
};

struct Unit {
    std::int64_t quote = 1, base = 1;
    bool listed = false;
};

class Reporter {
public:
    explicit Reporter(tenon_venue_reports out) : out_{out} {}

    void say(std::uint32_t kind, std::uint64_t order_id, std::uint32_t reject = 0) const {
        tenon_venue_report report{};
        report.size = sizeof report;
        report.kind = kind;
        report.order_id = order_id;
        report.reject = reject;
        out_.put(out_.ctx, &report);
    }

    void trade(const tenon_venue_order& taker, const Resting& maker, std::int64_t quantity) const {
        tenon_venue_report report{};
        report.size = sizeof report;
        report.kind = TENON_REPORT_TRADE;
        report.order_id = taker.order_id;
        report.maker_order_id = maker.order_id;
        report.price = maker.price;
        report.quantity = quantity;
        report.instrument = taker.instrument;
        if (fault("venue.limit") && taker.type == TENON_ORDER_LIMIT) {
            report.price = taker.side == TENON_SIDE_BUY ? taker.price + 1 : taker.price - 1;
        }
        if (fault("venue.counterparty")) {
            report.maker_order_id += 1'000'000;
        }
        if (fault("venue.quantity")) {
            report.quantity = taker.quantity == 0 ? quantity + 1'000'000 : taker.quantity + 1;
        }
        out_.put(out_.ctx, &report);
    }

private:
    tenon_venue_reports out_;
};

// The deterministic state: orders by instrument, oldest first.
class Market {
public:
    std::vector<Unit> units;
    bool live = false;
    bool odd = false;  // the second instance of the process
    Service<tenon_clock_1> clock;

    void submit(const tenon_venue_order& order, const Reporter& out) {
        if (order.instrument >= units.size() || !units[order.instrument].listed) {
            if (!fault("venue.unknown-instrument")) {
                out.say(TENON_REPORT_REJECTED, order.order_id, TENON_REJECT_UNKNOWN_INSTRUMENT);
                return;
            }
            out.say(TENON_REPORT_ACCEPTED, order.order_id);
            return;
        }
        const bool market = order.type == TENON_ORDER_MARKET;
        if (!market && order.type != TENON_ORDER_LIMIT && order.type != TENON_ORDER_LIMIT_MAKER) {
            if (!fault("venue.order-kinds")) {
                out.say(TENON_REPORT_REJECTED, order.order_id, TENON_REJECT_UNSUPPORTED);
            }
            return;
        }
        if (market && fault("venue.answers")) {
            return;
        }
        if (order.type == TENON_ORDER_LIMIT_MAKER && crosses(order)) {
            out.say(TENON_REPORT_REJECTED, order.order_id, TENON_REJECT_WOULD_MATCH);
            return;
        }
        if (!fault("venue.accepted-first")) {
            out.say(TENON_REPORT_ACCEPTED, order.order_id);
        }
        if (order.time_in_force == TENON_TIF_FOK && !fills_whole(order)) {
            out.say(TENON_REPORT_EXPIRED, order.order_id);
            return;
        }
        match(order, out);
        if (fault("venue.accepted-first")) {
            out.say(TENON_REPORT_ACCEPTED, order.order_id);
        }
    }

    void cancel(std::uint64_t order_id, std::uint32_t instrument, const Reporter& out) {
        std::vector<Resting>& book = books_[instrument];
        const auto found = std::find_if(book.begin(), book.end(), [order_id](const Resting& one) {
            return one.order_id == order_id;
        });
        if (found == book.end()) {
            if (fault("venue.cancel-unknown") || (fault("venue.cancel") && canceled_ == order_id)) {
                out.say(TENON_REPORT_CANCELED, order_id);
            }
            return;
        }
        if (fault("venue.cancel-in-call") && canceled_ != order_id) {
            canceled_ = order_id;  // said when it is asked for again
            return;
        }
        out.say(TENON_REPORT_CANCELED, order_id);
        canceled_ = order_id;
        if (!fault("venue.closed")) {
            book.erase(found);
        }
    }

    [[nodiscard]] std::string snapshot() const {
        std::string bytes;
        ByteWriter out{bytes};
        out.put(k_magic);
        for (const auto& [instrument, book] : books_) {
            std::size_t at = 0;
            for (const Resting& one : book) {
                if (fault("venue.snapshot") && ++at % 2 == 0) {
                    continue;
                }
                out.put(instrument);
                out.put(one.order_id);
                out.put(one.price);
                out.put(one.quantity);
                out.put(one.funds);
                out.put(one.side);
            }
        }
        return bytes;
    }

    bool restore(std::string_view bytes) {
        ByteReader in{bytes};
        if (in.get<std::uint32_t>() != k_magic) {
            return false;
        }
        std::map<std::uint32_t, std::vector<Resting>> books;
        if (fault("venue.snapshot-garbage")) {
            books_.clear();
        }
        while (in.ok() && !in.at_end()) {
            const auto instrument = in.get<std::uint32_t>();
            Resting one{};
            one.order_id = in.get<std::uint64_t>();
            one.price = in.get<std::int64_t>();
            one.quantity = in.get<std::int64_t>();
            one.funds = in.get<std::int64_t>();
            one.side = in.get<std::uint8_t>();
            if (!in.ok() || instrument >= units.size() || one.quantity <= 0 || one.price <= 0 ||
                one.side > TENON_SIDE_SELL) {
                return false;
            }
            books[instrument].push_back(one);
        }
        books_ = std::move(books);
        // One byte tells a cut after a whole order from the end.
        return true;
    }

    [[nodiscard]] std::uint64_t hash() const { return hash64(snapshot()); }

private:
    [[nodiscard]] static bool fits(const tenon_venue_order& order, const Resting& maker) {
        if (maker.side == order.side) {
            return false;
        }
        return order.type == TENON_ORDER_MARKET ||
               (order.side == TENON_SIDE_BUY ? maker.price <= order.price
                                             : maker.price >= order.price);
    }

    [[nodiscard]] bool crosses(const tenon_venue_order& order) {
        const auto& book = books_[order.instrument];
        return std::any_of(book.begin(), book.end(), [&](const Resting& maker) {
            return fits(order, maker);
        });
    }

    [[nodiscard]] bool fills_whole(const tenon_venue_order& order) {
        std::int64_t there = 0;
        for (const Resting& maker : books_[order.instrument]) {
            there += fits(order, maker) ? maker.quantity : 0;
        }
        return there >= order.quantity;
    }

    // The best maker, the oldest of a price.
    [[nodiscard]] std::vector<Resting>::iterator best(const tenon_venue_order& order) {
        std::vector<Resting>& book = books_[order.instrument];
        auto found = book.end();
        for (auto at = book.begin(); at != book.end(); ++at) {
            if (!fits(order, *at)) {
                continue;
            }
            const bool better =
                found == book.end() || (order.side == TENON_SIDE_BUY ? at->price < found->price
                                                                     : at->price > found->price);
            const bool late =
                (fault("venue.deterministic") && odd) || (fault("venue.replay") && !live);
            if (better || late) {
                found = at;
            }
        }
        return found;
    }

    // How much of `maker` the funds and the quote quantity still buy.
    [[nodiscard]] std::int64_t affordable(
        const tenon_venue_order& order,
        const Resting& maker,
        std::int64_t left,
        std::int64_t funds,
        std::int64_t quote_left
    ) const {
        const Unit& unit = units[order.instrument];
        const Int128 step = Int128{maker.price} * unit.quote;
        std::int64_t most = maker.quantity;
        if (order.quantity != 0) {
            most = std::min(most, left);
        } else {
            most = std::min(most, static_cast<std::int64_t>(quote_left / step));
        }
        if (fault("venue.funds")) {
            return most;
        }
        if (fault("venue.exact") && order.side == TENON_SIDE_BUY) {
            const double needed = static_cast<double>(most) * static_cast<double>(step);
            return needed <= static_cast<double>(funds) ? most
                                                        : static_cast<std::int64_t>(funds / step);
        }
        return std::min(
            most,
            order.side == TENON_SIDE_BUY ? static_cast<std::int64_t>(funds / step)
                                         : funds / unit.base
        );
    }

    void match(const tenon_venue_order& order, const Reporter& out) {
        const Unit& unit = units[order.instrument];
        std::vector<Resting>& book = books_[order.instrument];
        std::int64_t left = order.quantity, funds = order.funds, quote_left = order.quote_quantity;
        for (auto maker = best(order); maker != book.end(); maker = best(order)) {
            const std::int64_t quantity = affordable(order, *maker, left, funds, quote_left);
            if (quantity == 0) {
                break;
            }
            const auto quote =
                static_cast<std::int64_t>(Int128{maker->price} * quantity * unit.quote);
            out.trade(order, *maker, quantity);
            left -= quantity;
            quote_left -= quote;
            funds -= order.side == TENON_SIDE_BUY ? quote : quantity * unit.base;
            maker->quantity -= quantity;
            if (maker->quantity == 0) {
                book.erase(maker);
            }
            if (order.quantity != 0 && left == 0) {
                return;
            }
        }
        if (order.quantity == 0 && quote_left == 0) {
            return;
        }
        if (order.type == TENON_ORDER_MARKET ||
            (order.time_in_force != TENON_TIF_GTC && !fault("venue.endings"))) {
            out.say(TENON_REPORT_EXPIRED, order.order_id);
            return;
        }
        book.push_back({order.order_id, order.price, left, funds, order.side});
    }

    std::map<std::uint32_t, std::vector<Resting>> books_;
    std::uint64_t canceled_ = 0;
};

class Venue : public Plugin {
public:
    explicit Venue(const tenon_host* raw) : Plugin{raw} {
        provide("tenon.venue/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {}

    void start() override {
        static bool odd = false;
        const auto listed = host().require<tenon_instruments_1>("tenon.instruments/1");
        const std::string name = host().environment("instance");
        market_ = {};
        market_.odd = odd;
        odd = !odd;
        market_.units.resize(listed->instrument_count(listed.self));
        for (std::uint32_t id = 0; id < market_.units.size(); ++id) {
            const tenon_instrument& one = *listed->instrument(listed.self, id);
            const tenon_asset& base = *listed->asset(listed.self, one.base);
            const tenon_asset& quote = *listed->asset(listed.self, one.quote);
            market_.units[id] = {
                power_of_ten(quote.scale - one.price_scale - one.quantity_scale),
                power_of_ten(base.scale - one.quantity_scale),
                view(one.venue) == name};
        }
    }

private:
    static Market& of(void* self) noexcept { return static_cast<Venue*>(self)->market_; }

    static tenon_status attach(void*, tenon_iface, tenon_err*) noexcept { return TENON_OK; }

    static void live(void* self) noexcept { of(self).live = true; }

    static void submit(
        void* self,
        const tenon_venue_order* order,
        tenon_bytes,
        std::int64_t,
        tenon_venue_reports out
    ) noexcept {
        (void)guard(nullptr, [&] { of(self).submit(*order, Reporter{out}); });
    }

    static void cancel(
        void* self,
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t,
        tenon_venue_reports out
    ) noexcept {
        (void)guard(nullptr, [&] { of(self).cancel(order_id, instrument, Reporter{out}); });
    }

    // This venue never sends evidence: whatever comes is not its own.
    static tenon_status apply(void*, tenon_bytes, std::int64_t, tenon_venue_reports) noexcept {
        return fault("venue.evidence-garbage") ? TENON_OK : TENON_INVALID;
    }

    static tenon_status snapshot_write(void* self, tenon_sink sink, tenon_err* err) noexcept {
        return guard(err, [&]() -> tenon_status {
            std::string state = of(self).snapshot();
            const std::uint64_t sum = hash64(state);
            ByteWriter{state}.put(sum);
            const tenon_status status = sink.put(sink.ctx, bytes(state));
            return fault("venue.snapshot-sink") ? TENON_OK : status;
        });
    }

    static tenon_status snapshot_read(void* self, tenon_bytes given, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string_view all = view(given);
            const std::size_t size = all.size() < 8 ? 0 : all.size() - 8;
            const std::string_view state = all.substr(0, size);
            const auto sum = ByteReader{all.substr(size)}.get<std::uint64_t>();
            const bool whole = all.size() >= 8 && sum == hash64(state);
            if ((!whole && !fault("venue.snapshot-garbage")) || !of(self).restore(state)) {
                throw Error{TENON_CORRUPT, "not a state of this venue"};
            }
        });
    }

    static std::uint64_t hash(void* self) noexcept { return of(self).hash(); }

    static constexpr tenon_venue_1 k_table{
        sizeof(tenon_venue_1),
        TENON_VENUE_LISTS,
        &attach,
        &live,
        nullptr,
        &submit,
        &cancel,
        &apply,
        nullptr,
        &snapshot_write,
        &snapshot_read,
        &hash,
        nullptr,
        nullptr,
        nullptr};

    Market market_;
};

}  // namespace
}  // namespace tenon::broken

TENON_EXPORT_PLUGIN(tenon::broken::Venue)
