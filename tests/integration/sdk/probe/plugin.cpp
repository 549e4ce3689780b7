// SPDX-License-Identifier: Apache-2.0
// Calls cache tiers, throttles and venues of other plugins by instance name, for the test that
// built those: probe.tier, probe.limit, probe.venue.
#include <tenon/abi/cache_tier.h>
#include <tenon/abi/throttle.h>
#include <tenon/abi/trading.h>
#include <tenon/abi/venue.h>
#include <tenon/plugin.hpp>
#include <tenon/settings.hpp>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace {

namespace json = boost::json;
using tenon::Settings;

constexpr std::int64_t k_second = 1'000'000'000;

class Probe final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view, bool dry_run) override {
        if (dry_run) {
            return;
        }
        admin_ = host().service<tenon_admin_1>("tenon.admin/1");
        add<&Probe::tier>("probe.tier");
        add<&Probe::limit>("probe.limit");
        add<&Probe::venue>("probe.venue");
    }

    void stop() noexcept override {
        for (const std::string_view name : {"probe.tier", "probe.limit", "probe.venue"}) {
            admin_->remove(admin_.self, tenon::str(name));
        }
    }

private:
    template <std::string (Probe::*Run)(const Settings&)>
    void add(std::string_view name) {
        const auto run = [](void* self, tenon_str args, tenon_sink out, tenon_err* err
                         ) noexcept -> tenon_status {
            return tenon::guard(err, [&] {
                const std::string answer =
                    (static_cast<Probe*>(self)->*Run)(Settings{tenon::view(args)});
                return out.put(out.ctx, tenon::bytes(answer));
            });
        };
        (void)admin_->command(admin_.self, tenon::str(name), tenon::str("for tests"), this, run);
    }

    template <class Table>
    tenon::Service<Table> service(std::string_view interface_id, const std::string& instance) {
        struct Wanted {
            const std::string& instance;
            tenon::Service<Table> found;
        } wanted{instance, {}};

        const auto services = host().service<tenon_services_1>("tenon.services/1");
        const auto row = [](void* ctx, tenon_str name, tenon_iface iface) noexcept {
            auto& mine = *static_cast<Wanted*>(ctx);
            if (tenon::view(name) == mine.instance) {
                mine.found = tenon::service_from<Table>(iface);
            }
            return TENON_OK;
        };
        (void)services->each(services.self, tenon::str(interface_id), &wanted, row);
        if (!wanted.found) {
            throw tenon::Error{
                TENON_NOT_FOUND, instance + " gives no " + std::string{interface_id}};
        }
        return wanted.found;
    }

    std::string tier(const Settings& args) {
        const auto tier =
            service<tenon_cache_tier_1>("tenon.cache_tier/1", args.get<std::string>("instance"));
        const auto op = args.get<std::string>("op");
        const auto key = args.get<std::string>("key", "");
        const auto value = args.get<std::string>("value", "");
        tenon::ErrorBuffer err;
        tenon::StringSink out;
        json::object answer;
        tenon_status status = TENON_INVALID;
        if (op == "get") {
            status = tier->get(tier.self, tenon::bytes(key), k_second, out.sink(), nullptr, &err);
        } else if (op == "put") {
            status = tier->put(
                tier.self, tenon::bytes(key), tenon::bytes(value), k_second, k_second, &err
            );
        } else if (op == "erase") {
            status = tier->erase(tier.self, tenon::bytes(key), &err);
        } else if (op == "stats") {
            // A guard behind what this host knows of the struct: nobody writes there.
            struct Guarded {
                tenon_cache_tier_stats stats;
                std::uint64_t guard;
            } guarded{};

            guarded.stats.size = sizeof guarded.stats;
            guarded.guard = 0x5a5a5a5a5a5a5a5aU;
            status = tier->stats(tier.self, &guarded.stats);
            answer["entries"] = guarded.stats.entries;
            answer["intact"] =
                guarded.guard == 0x5a5a5a5a5a5a5a5aU && guarded.stats.size == sizeof guarded.stats;
        }
        answer["status"] = status;
        answer["value"] = out.text();
        answer["message"] = status < 0 ? std::string{err.message()} : std::string{};
        answer["table_size"] = tier->size;
        return json::serialize(answer);
    }

    // Takes one by one at one instant: how many were given, and the wait that the next is told.
    std::string limit(const Settings& args) {
        const auto throttle =
            service<tenon_throttle_1>("tenon.throttle/1", args.get<std::string>("instance"));
        tenon_throttle_claim claim{0, 1, tenon::str("somebody")};
        if (throttle->find(throttle.self, tenon::str("default"), &claim.limit) != TENON_OK) {
            throw tenon::Error{TENON_NOT_FOUND, "no limit default"};
        }
        std::int64_t given = 0;
        std::int64_t wait_ns = 0;
        tenon_status status = TENON_OK;
        while (given < 100'000 && status == TENON_OK) {
            status = throttle->take(throttle.self, &claim, 1, k_second, &wait_ns);
            given += status == TENON_OK ? 1 : 0;
        }
        const tenon_status later =
            throttle->take(throttle.self, &claim, 1, k_second + wait_ns, nullptr);
        return json::serialize(json::object{
            {"given", given}, {"status", status}, {"wait_ns", wait_ns}, {"later", later}});
    }

    // Rests an order, lets another trade through it, cancels a third; snapshot and back.
    std::string venue(const Settings& args) {
        const auto venue =
            service<tenon_venue_1>("tenon.venue/1", args.get<std::string>("instance"));
        json::array reports;
        const tenon_venue_reports sink{&reports, [](void* ctx, const tenon_venue_report* report) {
                                           static_cast<json::array*>(ctx)->push_back(json::object{
                                               {"kind", report->kind},
                                               {"order", report->order_id},
                                               {"maker", report->maker_order_id},
                                               {"price", report->price},
                                               {"quantity", report->quantity}});
                                       }};
        const auto submit =
            [&](std::uint64_t id, std::uint8_t side, std::uint8_t type, std::int64_t price) {
                auto order = tenon::sized<tenon_venue_order>();
                order.order_id = id;
                order.side = side;
                order.type = type;
                order.price = price;
                order.quantity = 5;
                venue->submit(venue.self, &order, {nullptr, 0}, k_second, sink);
            };
        const std::uint64_t empty = venue->hash(venue.self);
        submit(1, TENON_SIDE_BUY, TENON_ORDER_LIMIT_MAKER, 100);
        submit(2, TENON_SIDE_SELL, TENON_ORDER_LIMIT_MAKER, 200);
        tenon::StringSink state;
        tenon::ErrorBuffer err;
        (void)tenon::check(venue->snapshot_write(venue.self, state.sink(), &err), err, "write");
        const std::uint64_t before = venue->hash(venue.self);
        submit(3, TENON_SIDE_SELL, TENON_ORDER_LIMIT, 99);
        venue->cancel(venue.self, 2, 0, k_second, sink);
        const std::uint64_t after = venue->hash(venue.self);
        std::string damaged = state.text();
        damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
        const tenon_status refused =
            venue->snapshot_read(venue.self, tenon::bytes(damaged), nullptr);
        const bool kept = venue->hash(venue.self) == after;
        (void)tenon::check(
            venue->snapshot_read(venue.self, tenon::bytes(state.text()), &err), err, "read"
        );
        const bool restored = venue->hash(venue.self) == before;
        return json::serialize(json::object{
            {"reports", reports},
            {"empty_again", after == empty},
            {"refused", refused},
            {"kept", kept},
            {"restored", restored}});
    }

    tenon::Service<tenon_admin_1> admin_;
};

}  // namespace

TENON_EXPORT_PLUGIN(Probe)
