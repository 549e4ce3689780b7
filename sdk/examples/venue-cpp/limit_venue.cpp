// SPDX-License-Identifier: Apache-2.0
// Every limit is met by the market. Nothing here reads a clock or the outside: the same commands
// give the same reports, state and hash, which the engine's journal relies on.
#include <tenon/abi/instruments.h>
#include <tenon/abi/trading.h>
#include <tenon/byte_codec.hpp>
#include <tenon/venue.hpp>

#include <map>

class LimitVenue : public tenon::Plugin, public tenon::Venue {
public:
    explicit LimitVenue(const tenon_host* host) : Plugin{host} { provide<Venue>(this); }

    void configure(std::string_view, bool) override {}

    void start() override {
        instruments_ = host().find<tenon_instruments_1>("tenon.instruments/1");
    }

    void submit(const tenon_venue_order& order, std::string_view, std::int64_t, Reports& out)
        override {
        if (instruments_ && order.instrument >= instruments_->instrument_count(instruments_.self)) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_UNKNOWN_INSTRUMENT);
            return;
        }
        if (order.type != TENON_ORDER_LIMIT && order.type != TENON_ORDER_LIMIT_MAKER) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_UNSUPPORTED);
            return;
        }
        if (order.order_id == 0 || order.side > TENON_SIDE_SELL || order.price <= 0 ||
            order.quantity <= 0 || resting_.count(order.order_id) != 0) {
            out.rejected(order.order_id, order.instrument, TENON_REJECT_INVALID);
            return;
        }
        out.accepted(order.order_id, order.instrument);
        if (order.type == TENON_ORDER_LIMIT_MAKER) {
            if (order.time_in_force == TENON_TIF_IOC || order.time_in_force == TENON_TIF_FOK) {
                out.expired(order.order_id, order.instrument);
                return;
            }
            resting_[order.order_id] = {order.instrument, order.side, order.price, order.quantity};
            return;
        }
        out.trade(order.order_id, 0, order.instrument, order.price, order.quantity);
        fill_resting(order.instrument, order.price, out);
    }

    void cancel(std::uint64_t order_id, std::uint32_t instrument, std::int64_t, Reports& out)
        override {
        const auto found = resting_.find(order_id);
        if (found != resting_.end() && found->second.instrument == instrument) {
            resting_.erase(found);
            out.canceled(order_id, instrument);
        }
    }

    std::string snapshot_write() const override {
        std::string bytes;
        tenon::ByteWriter writer{bytes};
        writer.put(k_format);
        for (const auto& [order_id, order] : resting_) {
            writer.put(order_id);
            writer.put(order.instrument);
            writer.put(order.side);
            writer.put(order.price);
            writer.put(order.quantity);
        }
        writer.put(std::uint64_t{0});  // no order has this id: the end
        writer.put(hash());
        return bytes;
    }

    void snapshot_read(std::string_view bytes) override {
        Orders resting;
        tenon::ByteReader reader{bytes};
        bool good = reader.get<std::uint32_t>() == k_format;
        while (good) {
            const auto order_id = reader.get<std::uint64_t>();
            if (order_id == 0) {
                break;
            }
            Order& order = resting[order_id];
            order.instrument = reader.get<std::uint32_t>();
            order.side = reader.get<std::uint8_t>();
            order.price = reader.get<std::int64_t>();
            order.quantity = reader.get<std::int64_t>();
            good = reader.ok();
        }
        good = good && reader.get<std::uint64_t>() == hash_of(resting) && reader.ok() &&
               reader.at_end();
        if (!good) {
            throw tenon::Error{TENON_CORRUPT, "not a snapshot of this venue, or a damaged one"};
        }
        resting_ = std::move(resting);
    }

    std::uint64_t hash() const noexcept override { return hash_of(resting_); }

private:
    struct Order {
        std::uint32_t instrument;
        std::uint8_t side;
        std::int64_t price;
        std::int64_t quantity;
    };

    using Orders = std::map<std::uint64_t, Order>;

    static std::uint64_t hash_of(const Orders& orders) noexcept {
        tenon::Hash64 hash;
        for (const auto& [order_id, order] : orders) {
            hash.add(order_id);
            hash.add(std::uint64_t{order.instrument} << 8 | order.side);
            hash.add(static_cast<std::uint64_t>(order.price));
            hash.add(static_cast<std::uint64_t>(order.quantity));
        }
        return hash.value();
    }

    // The market traded at `price`: whoever waits for that price or a worse one is served.
    void fill_resting(std::uint32_t instrument, std::int64_t price, Reports& out) {
        for (auto at = resting_.begin(); at != resting_.end();) {
            const Order& order = at->second;
            const bool reached =
                order.side == TENON_SIDE_BUY ? price <= order.price : price >= order.price;
            if (order.instrument != instrument || !reached) {
                ++at;
                continue;
            }
            out.trade(0, at->first, instrument, order.price, order.quantity);
            at = resting_.erase(at);
        }
    }

    static constexpr std::uint32_t k_format = 0x314d494c;  // "LIM1"
    tenon::Service<tenon_instruments_1> instruments_;
    Orders resting_;
};

TENON_EXPORT_PLUGIN(LimitVenue)
