// SPDX-License-Identifier: Apache-2.0
// Market streams over the fake world: connections, control messages, events of the market.
#pragma once

#include "plugins/gateway/binance/streams.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

struct StreamsFixture : FakeBinanceWorld {
    explicit StreamsFixture(const binance::StreamSettings& settings = {})
        : addresses{{}}, streams{services(), addresses, settings} {}

    // As the server does with a handshake of this target; returns the connection's number.
    std::uint64_t
    connect(std::string_view tail, std::string_view query = {}, bool combined = false) {
        const std::uint64_t id = ++last_id;
        tenon_http_request request{};
        request.size = sizeof request;
        request.tail = tenon::str(tail);
        request.query = tenon::str(query);
        request.remote = tenon::str("127.0.0.1");
        binance::StreamConnection* connection = nullptr;
        status = streams.open(id, request, combined, &connection);
        connections[id] = connection;
        return id;
    }

    // What a control message is answered with.
    std::string ask(std::uint64_t id, std::string_view message) {
        sent[id].clear();
        streams.text(*connections.at(id), message);
        REQUIRE(sent[id].size() == 1);
        return sent[id][0];
    }

    void event(std::uint32_t kind, const tenon_feed_event* feed, std::uint32_t instrument = 0) {
        tenon_md_event e{};
        e.size = sizeof e;
        e.kind = kind;
        e.instrument = instrument;
        e.feed = feed;
        streams.on_market(e);
    }

    void trade(std::uint64_t id) {
        tenon_public_trade t = trades[0];
        t.trade_id = id;
        tenon_md_event e{};
        e.kind = TENON_MD_TRADE;
        e.trade = &t;
        streams.on_market(e);
    }

    void diff(
        std::uint64_t first,
        std::uint64_t last,
        std::vector<tenon_level> bid,
        std::vector<tenon_level> ask = {}
    ) {
        tenon_feed_event f{};
        f.kind = TENON_FEED_DIFF;
        f.first_update_id = first;
        f.last_update_id = last;
        f.bids = bid.data();
        f.bid_count = static_cast<std::uint32_t>(bid.size());
        f.asks = ask.data();
        f.ask_count = static_cast<std::uint32_t>(ask.size());
        event(TENON_MD_BOOK, &f);
    }

    binance::AddressLimits addresses;
    binance::Streams streams;
    std::map<std::uint64_t, binance::StreamConnection*> connections;
    std::uint64_t last_id = 0;
    tenon_status status = TENON_OK;
};

}  // namespace tenon::test
