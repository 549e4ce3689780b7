// SPDX-License-Identifier: Apache-2.0
// Sends random orders through tenon.trading/1 and writes what was acknowledged to a pipe, so that a
// harness can kill the process and ask whether all of it is still there.
//
// A line is written in the answer's callback: "O id filled filled_quote status" for an order,
// "T trade_id order_id account price quantity quote fee" for a fill.
#include <tenon/abi/trading.h>
#include <tenon/plugin.hpp>

#include <boost/json.hpp>

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <future>
#include <random>
#include <unistd.h>
#include <vector>

namespace tenon::test {
namespace {

namespace json = boost::json;

constexpr std::uint64_t k_first = TENON_ACCOUNT_FIRST;
constexpr int k_accounts = 3;
constexpr int k_in_flight = 16;
constexpr std::uint32_t k_page = 1000;

class LoadPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view text, bool) override {
        const auto parsed = json::parse({text.data(), text.size()});
        pipe_path_ = parsed.as_object().at("acknowledgements").as_string();
    }

    void start() override {
        trading_ = host().require<tenon_trading_1>("tenon.trading/1");
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        admin_ = host().service<tenon_admin_1>("tenon.admin/1");
        command("load.start", &LoadPlugin::run<&LoadPlugin::load_start>);
        command("load.dump", &LoadPlugin::run<&LoadPlugin::dump>);
    }

    void drain(std::int64_t) override { running_ = false; }

    void stop() noexcept override {
        running_ = false;
        admin_->remove(admin_.self, str("load.start"));
        admin_->remove(admin_.self, str("load.dump"));
    }

private:
    using Handler = std::string (LoadPlugin::*)(const json::object&);
    using Run = tenon_status (*)(void*, tenon_str, tenon_sink, tenon_err*);

    template <Handler handler>
    static tenon_status run(void* ctx, tenon_str args, tenon_sink out, tenon_err* err) {
        return guard(err, [&] {
            const auto parsed = json::parse({args.p, args.n});
            const std::string answer =
                (static_cast<LoadPlugin*>(ctx)->*handler)(parsed.as_object());
            return out.put(out.ctx, bytes(answer));
        });
    }

    void command(std::string_view name, Run handler) {
        if (admin_->command(admin_.self, str(name), str("for tests"), this, handler) != TENON_OK) {
            throw Error{TENON_CONFLICT, "command " + std::string{name}};
        }
    }

    // Accounts are opened by name and funded by reference: both may have happened in another life.
    std::string load_start(const json::object& args) {
        random_.seed(args.at("seed").to_number<std::uint64_t>());
        pipe_ = ::open(pipe_path_.c_str(), O_WRONLY | O_CLOEXEC);
        if (pipe_ < 0) {
            throw Error{TENON_UNAVAILABLE, "cannot open " + pipe_path_};
        }
        running_ = true;
        call_on_reactor(exec_, 0, [this] {
            const tenon_trading_done ignore{nullptr, nullptr};
            for (int i = 0; i < k_accounts; ++i) {
                const std::string name = "load-" + std::to_string(i);
                (void)trading_->account_open(trading_.self, str(name), ignore, nullptr);
                for (std::uint32_t asset = 0; asset < 2; ++asset) {
                    const std::string reference = name + ":" + std::to_string(asset);
                    const tenon_ledger_entry entry{
                        sizeof entry,
                        asset,
                        TENON_ACCOUNT_EXTERNAL,
                        k_first + static_cast<std::uint64_t>(i),
                        1'000'000'000'000'000,
                        str(reference)};
                    (void)trading_->transfer(trading_.self, &entry, ignore, nullptr);
                }
            }
            for (int i = 0; i < k_in_flight; ++i) {
                next();
            }
        });
        return "{}";
    }

    void next() {
        if (!running_) {
            return;
        }
        const tenon_trading_done done{this, &LoadPlugin::answered};
        tenon_status status = TENON_OK;
        const std::uint64_t account = k_first + random_() % k_accounts;
        if (random_() % 4 == 0 && last_order_ != 0) {
            tenon_cancel_request request{};
            request.size = sizeof request;
            request.account = account;
            request.order_id = last_order_ - random_() % std::min<std::uint64_t>(last_order_, 50);
            status = trading_->cancel(trading_.self, &request, done, nullptr);
        } else {
            tenon_order_request request{};
            request.size = sizeof request;
            request.account = account;
            request.side = random_() % 2;
            const bool market = random_() % 8 == 0;
            request.type = market ? TENON_ORDER_MARKET : TENON_ORDER_LIMIT;
            request.time_in_force = random_() % 5 == 0 ? TENON_TIF_IOC : TENON_TIF_GTC;
            request.price = market ? 0 : 10'000 + static_cast<std::int64_t>(random_() % 41) - 20;
            request.quantity = 1'000 + static_cast<std::int64_t>(random_() % 9'000);
            status = trading_->submit(trading_.self, &request, done, nullptr);
        }
        if (status != TENON_PENDING) {
            running_ = false;
        }
    }

    static void
    answered(void* ctx, tenon_status status, const tenon_trading_reply* reply, const tenon_err*) {
        auto& self = *static_cast<LoadPlugin*>(ctx);
        if (status == TENON_OK) {
            self.write_lines(*reply);
            self.next();
        }
    }

    void write_lines(const tenon_trading_reply& reply) {
        std::string text;
        const auto add = [&](std::initializer_list<std::int64_t> numbers, const char* kind) {
            text += kind;
            for (const std::int64_t number : numbers) {
                text += ' ' + std::to_string(number);
            }
            text += '\n';
        };
        for (std::uint32_t i = 0; i < reply.order_count; ++i) {
            const tenon_order& order = tenon::at(reply.orders, i);
            last_order_ = std::max(last_order_, order.order_id);
            add({static_cast<std::int64_t>(order.order_id),
                 order.filled_quantity,
                 order.filled_quote,
                 order.status},
                "O");
        }
        for (std::uint32_t i = 0; i < reply.trade_count; ++i) {
            const tenon_trade& trade = tenon::at(reply.trades, i);
            add({static_cast<std::int64_t>(trade.trade_id),
                 static_cast<std::int64_t>(trade.order_id),
                 trade.price,
                 trade.quantity,
                 trade.quote_amount,
                 trade.fee},
                "T");
        }
        // A pipe takes up to 4096 bytes in one piece.
        for (std::size_t at = 0; at < text.size();) {
            const auto n = ::write(pipe_, text.data() + at, text.size() - at);
            if (n < 0) {
                running_ = false;
                return;
            }
            at += static_cast<std::size_t>(n);
        }
    }

    // Runs a query on the engine's reactor and waits for its rows. `call` gets the context of
    // `row`.
    template <class Call>
    void ask(Call call) {
        std::promise<tenon_status> ended;
        const tenon_done done{&ended, [](void* ctx, tenon_status status, const tenon_err*) {
                                  static_cast<std::promise<tenon_status>*>(ctx)->set_value(status);
                              }};
        ErrorBuffer err;
        tenon_status status = TENON_OK;
        call_on_reactor(exec_, 0, [&] { status = call(done, &err); });
        status = status == TENON_PENDING ? ended.get_future().get() : status;
        if (status != TENON_OK && status != TENON_NOT_FOUND) {
            throw Error{status, "query: " + std::string{err.message()}};
        }
    }

    template <class Row>
    static tenon_status keep(void* ctx, const Row* row) {
        static_cast<std::vector<Row>*>(ctx)->push_back(*row);
        return TENON_OK;
    }

    void dump_orders(std::uint64_t account, json::array& out) {
        std::vector<tenon_order> rows;
        tenon_order_query page{};
        page.size = sizeof page;
        page.which = TENON_ORDERS_ALL;
        page.account = account;
        page.limit = k_page;
        page.from_order_id = 1;
        do {
            rows.clear();
            ask([&](tenon_done done, tenon_err* err) {
                return trading_->orders(trading_.self, &page, &rows, &keep<tenon_order>, done, err);
            });
            for (const tenon_order& row : rows) {
                out.push_back(
                    {row.order_id, row.filled_quantity, row.filled_quote, std::uint64_t{row.status}}
                );
                page.from_order_id = row.order_id + 1;
            }
        } while (rows.size() == k_page);
    }

    void dump_trades(std::uint64_t account, json::array& out) {
        std::vector<tenon_trade> rows;
        tenon_trade_query page{};
        page.size = sizeof page;
        page.account = account;
        page.limit = k_page;
        page.from_trade_id = 1;
        do {
            rows.clear();
            ask([&](tenon_done done, tenon_err* err) {
                return trading_->trades(trading_.self, &page, &rows, &keep<tenon_trade>, done, err);
            });
            // The last id of a full page comes again: its other side may have been cut off.
            const bool full = rows.size() == k_page;
            const std::uint64_t last = rows.empty() ? 0 : rows.back().trade_id;
            for (const tenon_trade& row : rows) {
                if (full && row.trade_id == last) {
                    break;
                }
                out.push_back(
                    {row.trade_id,
                     row.order_id,
                     row.account,
                     std::uint64_t{row.side},
                     row.price,
                     row.quantity,
                     row.quote_amount,
                     row.fee,
                     row.fee_asset}
                );
            }
            page.from_trade_id = last;
        } while (rows.size() == k_page);
    }

    std::string dump(const json::object&) {
        json::array orders, trades, balances;
        std::vector<std::uint64_t> accounts{
            TENON_ACCOUNT_EXTERNAL, TENON_ACCOUNT_FEES, TENON_ACCOUNT_VENUES};
        for (std::uint64_t i = 0; i < k_accounts; ++i) {
            accounts.push_back(k_first + i);
            dump_orders(k_first + i, orders);
            dump_trades(k_first + i, trades);
        }
        for (const std::uint64_t account : accounts) {
            std::vector<tenon_balance> rows;
            ask([&](tenon_done done, tenon_err* err) {
                return trading_->balances(
                    trading_.self, account, &rows, &keep<tenon_balance>, done, err
                );
            });
            for (const tenon_balance& row : rows) {
                balances.push_back({row.account, row.asset, row.free, row.locked});
            }
        }
        return json::serialize(json::object{
            {"orders", orders}, {"trades", trades}, {"balances", balances}});
    }

    Service<tenon_trading_1> trading_;
    Service<tenon_exec_1> exec_;
    Service<tenon_admin_1> admin_;
    std::string pipe_path_;
    int pipe_ = -1;
    std::atomic<bool> running_{false};
    std::mt19937_64 random_;
    std::uint64_t last_order_ = 0;
};

}  // namespace
}  // namespace tenon::test

TENON_EXPORT_PLUGIN(tenon::test::LoadPlugin)
