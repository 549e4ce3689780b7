// SPDX-License-Identifier: Apache-2.0
// tenon.venue/1 in C++: where orders are executed. Derive from Venue and call
// provide<tenon::Venue>(this) in the constructor. What is deterministic and what may look at the
// outside is in abi/venue.h; all calls come from the engine's thread, one at a time.
#pragma once

#include <tenon/abi/venue.h>
#include <tenon/plugin.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

class Venue {
public:
    static constexpr std::string_view k_id = "tenon.venue/1";

    // What a call answers with, in the order that abi/venue.h asks for.
    class Reports {
    public:
        explicit Reports(tenon_venue_reports raw) noexcept : raw_{raw} {}

        void accepted(std::uint64_t order_id, std::uint32_t instrument) {
            put(make(TENON_REPORT_ACCEPTED, order_id, instrument));
        }

        void rejected(
            std::uint64_t order_id,
            std::uint32_t instrument,
            std::uint32_t reject = TENON_REJECT_VENUE
        ) {
            tenon_venue_report report = make(TENON_REPORT_REJECTED, order_id, instrument);
            report.reject = reject;
            put(report);
        }

        // Right before a trade of the order: what the venue charges for it, in units of the asset.
        void commission(
            std::uint64_t order_id,
            std::uint32_t instrument,
            std::uint32_t asset,
            std::int64_t amount
        ) {
            tenon_venue_report report = make(TENON_REPORT_COMMISSION, order_id, instrument);
            report.reject = asset;
            report.quantity = amount;
            put(report);
        }

        // order_id 0: the market took; maker_order_id 0: the market made.
        void trade(
            std::uint64_t order_id,
            std::uint64_t maker_order_id,
            std::uint32_t instrument,
            std::int64_t price,
            std::int64_t quantity
        ) {
            tenon_venue_report report = make(TENON_REPORT_TRADE, order_id, instrument);
            report.maker_order_id = maker_order_id;
            report.price = price;
            report.quantity = quantity;
            put(report);
        }

        void canceled(std::uint64_t order_id, std::uint32_t instrument) {
            put(make(TENON_REPORT_CANCELED, order_id, instrument));
        }

        void expired(std::uint64_t order_id, std::uint32_t instrument) {
            put(make(TENON_REPORT_EXPIRED, order_id, instrument));
        }

        // The engine submits it again, as what it became.
        void triggered(std::uint64_t order_id, std::uint32_t instrument) {
            put(make(TENON_REPORT_TRIGGERED, order_id, instrument));
        }

        // The same, and the venue goes on with it.
        void working(std::uint64_t order_id, std::uint32_t instrument) {
            put(make(TENON_REPORT_WORKING, order_id, instrument));
        }

        // Two orders of one account that would have traded; what the taker's mode says is done.
        // `ended`: TENON_PREVENTED_*.
        void prevented(
            std::uint64_t order_id,
            std::uint64_t maker_order_id,
            std::uint32_t instrument,
            std::int64_t price,
            std::int64_t quantity,
            std::uint32_t ended
        ) {
            tenon_venue_report report = make(TENON_REPORT_PREVENTED, order_id, instrument);
            report.maker_order_id = maker_order_id;
            report.price = price;
            report.quantity = quantity;
            report.reject = ended;
            put(report);
        }

        void put(const tenon_venue_report& report) {
            ++count_;
            raw_.put(raw_.ctx, &report);
        }

        [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    private:
        static tenon_venue_report
        make(std::uint32_t kind, std::uint64_t order_id, std::uint32_t instrument) noexcept {
            auto report = sized<tenon_venue_report>();
            report.kind = kind;
            report.order_id = order_id;
            report.instrument = instrument;
            return report;
        }

        tenon_venue_reports raw_;
        std::uint64_t count_ = 0;
    };

    // The engine's side, and an empty one before the engine stops.
    virtual void attach(Service<tenon_venue_input_1> input) { (void)input; }

    // Replay has ended: the outside may be looked at from now on.
    virtual void live() {}

    // What the order meets outside, as bytes. Live only.
    [[nodiscard]] virtual std::string
    evidence(const tenon_venue_order& order, std::int64_t now_real_ns) {
        (void)order;
        (void)now_real_ns;
        return {};
    }

    // Deterministic. What it throws before its first report rejects the order.
    virtual void submit(
        const tenon_venue_order& order,
        std::string_view evidence,
        std::int64_t now_real_ns,
        Reports& out
    ) = 0;
    // Deterministic.
    virtual void cancel(
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t now_real_ns,
        Reports& out
    ) = 0;

    // Deterministic. Evidence that came by itself.
    virtual void apply(std::string_view evidence, std::int64_t now_real_ns, Reports& out) {
        (void)evidence;
        (void)now_real_ns;
        (void)out;
        throw Error{TENON_INVALID, "this venue sends no commands"};
    }

    // All commands up to here are on disk. Live only.
    virtual void durable() {}

    // The deterministic state as bytes, read back, and its hash.
    [[nodiscard]] virtual std::string snapshot_write() const = 0;
    virtual void snapshot_read(std::string_view state) = 0;
    [[nodiscard]] virtual std::uint64_t hash() const noexcept = 0;

    // Deterministic. 0: the venue has none.
    [[nodiscard]] virtual std::int64_t
    reference_price(std::uint32_t instrument, std::string_view evidence) {
        (void)instrument;
        (void)evidence;
        return 0;
    }

    // Deterministic, for a venue that takes TENON_VENUE_AMEND. False: the order is not here.
    virtual bool amend(std::uint64_t order_id, std::uint32_t instrument, std::int64_t quantity) {
        (void)order_id;
        (void)instrument;
        (void)quantity;
        return false;
    }

    // After snapshot_read of what an older server wrote: whose an order is that may be here.
    virtual void owned(std::uint64_t order_id, std::uint32_t instrument, std::uint64_t account) {
        (void)order_id;
        (void)instrument;
        (void)account;
    }

    // What it keeps of TENON_VENUE_*, the same at every call.
    [[nodiscard]] virtual std::uint32_t takes() const noexcept { return 0; }

    [[nodiscard]] static const void* table(const Venue& venue) noexcept {
        return &k_tables[venue.takes() % k_tables.size()];
    }

protected:
    ~Venue() = default;

private:
    static Venue& of(void* self) noexcept { return *static_cast<Venue*>(self); }

    static tenon_status attach_input(void* self, tenon_iface input, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).attach(service_from<tenon_venue_input_1>(input)); });
    }

    static void go_live(void* self) noexcept {
        (void)guard(nullptr, [&] { of(self).live(); });
    }

    static tenon_status gather(
        void* self,
        const tenon_venue_order* order,
        std::int64_t now_real_ns,
        tenon_sink out
    ) noexcept {
        return guard(nullptr, [&] {
            const std::string found = of(self).evidence(*order, now_real_ns);
            return found.empty() ? TENON_OK : out.put(out.ctx, bytes(found));
        });
    }

    static void submit_order(
        void* self,
        const tenon_venue_order* order,
        tenon_bytes evidence,
        std::int64_t now_real_ns,
        tenon_venue_reports raw
    ) noexcept {
        Reports out{raw};
        const tenon_status status =
            guard(nullptr, [&] { of(self).submit(*order, view(evidence), now_real_ns, out); });
        if (status != TENON_OK) {
            (void)guard(nullptr, [&] {
                if (out.count() == 0) {
                    out.rejected(order->order_id, order->instrument);
                } else {
                    out.expired(order->order_id, order->instrument);
                }
            });
        }
    }

    static void cancel_order(
        void* self,
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t now_real_ns,
        tenon_venue_reports raw
    ) noexcept {
        (void)guard(nullptr, [&] {
            Reports out{raw};
            of(self).cancel(order_id, instrument, now_real_ns, out);
        });
    }

    static tenon_status apply_evidence(
        void* self,
        tenon_bytes evidence,
        std::int64_t now_real_ns,
        tenon_venue_reports raw
    ) noexcept {
        return guard(nullptr, [&] {
            Reports out{raw};
            of(self).apply(view(evidence), now_real_ns, out);
        });
    }

    static void commands_durable(void* self) noexcept {
        (void)guard(nullptr, [&] { of(self).durable(); });
    }

    static tenon_status write_snapshot(void* self, tenon_sink out, tenon_err* err) noexcept {
        return guard(err, [&] {
            const std::string state = of(self).snapshot_write();
            return out.put(out.ctx, bytes(state));
        });
    }

    static tenon_status read_snapshot(void* self, tenon_bytes state, tenon_err* err) noexcept {
        return guard(err, [&] { of(self).snapshot_read(view(state)); });
    }

    static std::uint64_t state_hash(void* self) noexcept { return of(self).hash(); }

    static std::int64_t
    reference(void* self, std::uint32_t instrument, tenon_bytes evidence) noexcept {
        std::int64_t price = 0;
        (void)guard(nullptr, [&] { price = of(self).reference_price(instrument, view(evidence)); });
        return price;
    }

    static tenon_status amend_order(
        void* self,
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::int64_t quantity
    ) noexcept {
        return guard(nullptr, [&] {
            return of(self).amend(order_id, instrument, quantity) ? TENON_OK : TENON_NOT_FOUND;
        });
    }

    static void order_owned(
        void* self,
        std::uint64_t order_id,
        std::uint32_t instrument,
        std::uint64_t account
    ) noexcept {
        (void)guard(nullptr, [&] { of(self).owned(order_id, instrument, account); });
    }

    [[nodiscard]] static constexpr tenon_venue_1 make_table(std::uint32_t flags) noexcept {
        return {
            sizeof(tenon_venue_1),
            flags,
            &attach_input,
            &go_live,
            &gather,
            &submit_order,
            &cancel_order,
            &apply_evidence,
            &commands_durable,
            &write_snapshot,
            &read_snapshot,
            &state_hash,
            &reference,
            &amend_order,
            &order_owned};
    }

    // One for each set of flags.
    static constexpr std::size_t k_flag_sets = 32;
    static const std::array<tenon_venue_1, k_flag_sets> k_tables;
};

inline constexpr std::array<tenon_venue_1, Venue::k_flag_sets> Venue::k_tables = [] {
    std::array<tenon_venue_1, k_flag_sets> tables{};
    for (std::size_t flags = 0; flags < tables.size(); ++flags) {
        tables[flags] = make_table(static_cast<std::uint32_t>(flags));
    }
    return tables;
}();

}  // namespace tenon
