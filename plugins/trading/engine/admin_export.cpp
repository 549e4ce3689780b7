// SPDX-License-Identifier: Apache-2.0
// export.trades, export.statement: pages of CSV.
#include "plugins/trading/engine/account_export.hpp"
#include "plugins/trading/engine/admin.hpp"
#include "plugins/trading/engine/admin_args.hpp"
#include "plugins/trading/engine/journal_view.hpp"

#include <boost/json.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace tenon::engine {

namespace json = boost::json;

namespace {

// A page of a large account whose opening balance has to be found.
constexpr std::chrono::minutes k_patience{2};
constexpr std::chrono::seconds k_catching_up{5};

[[nodiscard]] std::int64_t moment_of(const json::object& args, std::string_view key) {
    try {
        return parse_moment(text(args, key));
    } catch (const Error& error) {
        throw Error{error.code(), "args/" + std::string{key} + ": " + error.what()};
    }
}

}  // namespace

// So that what was acknowledged before the question is in the answer.
void Admin::wait_for_database() const {
    const std::uint64_t wanted = engine_.mirror().status().durable_sequence;
    const std::int64_t until_ns =
        clock_->now_ns(clock_.self) + std::chrono::nanoseconds{k_catching_up}.count();
    std::mutex mutex;
    std::condition_variable never;
    std::unique_lock lock{mutex};
    for (;;) {
        const std::uint64_t there = engine_.projection()->projected_sequence();
        if (there >= wanted) {
            return;
        }
        if (clock_->now_ns(clock_.self) >= until_ns) {
            throw Error{
                TENON_UNAVAILABLE,
                "the database is " + std::to_string(wanted - there) +
                    " commands behind; try again later"};
        }
        never.wait_for(lock, std::chrono::milliseconds{5});
    }
}

std::string Admin::export_page(
    const json::object& args,
    ExportQuery query,
    ExportPage (*make)(Session&, const Service<tenon_instruments_1>&, const ExportQuery&)
) {
    if (!engine_.storage()) {
        throw Error{TENON_UNSUPPORTED, "this deployment has no storage to export from"};
    }
    query.account = account_id(text(args, "account"));
    if (args.contains("from")) {
        query.from_real_ns = moment_of(args, "from");
    }
    if (args.contains("to")) {
        query.to_real_ns = moment_of(args, "to");
    }
    if (query.from_real_ns > query.to_real_ns) {
        throw Error{TENON_INVALID, "args/to: before args/from"};
    }
    if (args.contains("cursor")) {
        query.cursor = text(args, "cursor");
    } else {
        wait_for_database();
    }
    ExportPage page;
    const Storage storage{engine_.storage()};
    storage.read(
        clock_->now_ns(clock_.self) + std::chrono::nanoseconds{k_patience}.count(),
        [&](Session& session) { page = make(session, engine_.instruments(), query); }
    );
    return json::serialize(json::object{
        {"text", page.text},
        {"cursor", page.cursor.empty() ? json::value(nullptr) : json::value(page.cursor)}});
}

std::string Admin::export_trades(std::string_view args) {
    const json::object parsed = parse_args(args, {"account", "symbol", "from", "to", "cursor"});
    ExportQuery query;
    if (parsed.contains("symbol")) {
        const std::string symbol = text(parsed, "symbol");
        const auto instruments = engine_.instruments();
        std::uint32_t id = 0;
        if (instruments->find_instrument(instruments.self, str(symbol), &id) != TENON_OK) {
            throw Error{TENON_NOT_FOUND, "args/symbol: there is no symbol \"" + symbol + "\""};
        }
        query.instrument = id;
    }
    return export_page(parsed, query, &engine::export_trades);
}

std::string Admin::export_statement(std::string_view args) {
    const json::object parsed = parse_args(args, {"account", "asset", "from", "to", "cursor"});
    ExportQuery query;
    if (parsed.contains("asset")) {
        const std::string name = text(parsed, "asset");
        const auto instruments = engine_.instruments();
        std::uint32_t id = 0;
        if (instruments->find_asset(instruments.self, str(name), &id) != TENON_OK) {
            throw Error{TENON_NOT_FOUND, "args/asset: there is no asset \"" + name + "\""};
        }
        query.asset = id;
    }
    return export_page(parsed, query, &engine::export_statement);
}

}  // namespace tenon::engine
