// SPDX-License-Identifier: Apache-2.0
// Every pair of the three tables, against a second writing-down of them.
#include "plugins/venue/binance/orders/order_state.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <string_view>

namespace {

using namespace tenon::binance_venue;

template <class State, class Event>
std::string table_of(std::size_t states, std::size_t events) {
    std::string text;
    for (std::size_t s = 0; s < states; ++s) {
        const auto state = static_cast<State>(s);
        text += std::string{name(state)} + ":";
        for (std::size_t e = 0; e < events; ++e) {
            const auto event = static_cast<Event>(e);
            const auto to = next(state, event);
            text += " " + std::string{name(event)} + ">" + (to ? std::string{name(*to)} : "!");
        }
        text += "\n";
    }
    return text;
}

}  // namespace

TEST_CASE("evidence leads an order from state to state as written down", "[binance][orders][T9]") {
    CHECK(
        table_of<BookState, Fact>(k_book_states, k_facts) ==
        "pending: accepted>open traded>open ended>ending completed>gone refused>gone absent>gone "
        "not_sent>gone withdrawn>gone\n"
        "open: accepted>open traded>open ended>ending completed>gone refused>! absent>! "
        "not_sent>! withdrawn>!\n"
        "ending: accepted>ending traded>ending ended>ending completed>gone refused>! absent>! "
        "not_sent>! withdrawn>!\n"
        "gone: accepted>gone traded>gone ended>gone completed>gone refused>gone absent>gone "
        "not_sent>gone withdrawn>gone\n"
    );
}

TEST_CASE("a request's phases lead where they are written down", "[binance][orders][T9]") {
    CHECK(
        table_of<SendPhase, SendEvent>(k_send_phases, k_send_events) ==
        "held: durable>sent answered>! no_answer>! not_sent>! withdrawn>settled evidence>settled "
        "restart>unknown\n"
        "sent: durable>! answered>settled no_answer>unknown not_sent>settled withdrawn>! "
        "evidence>settled restart>unknown\n"
        "unknown: durable>unknown answered>! no_answer>! not_sent>! withdrawn>! evidence>settled "
        "restart>unknown\n"
        "settled: durable>settled answered>settled no_answer>settled not_sent>! withdrawn>! "
        "evidence>settled restart>settled\n"
    );
}

TEST_CASE("a cancel's phases lead where they are written down", "[binance][orders][T9]") {
    CHECK(
        table_of<CancelPhase, CancelEvent>(k_cancel_phases, k_cancel_events) ==
        "none: asked>wanted send>! unresolved>! not_sent>! still_open>none restart>none\n"
        "wanted: asked>wanted send>sent unresolved>! not_sent>! still_open>wanted "
        "restart>unknown\n"
        "sent: asked>sent send>! unresolved>unknown not_sent>wanted still_open>sent "
        "restart>unknown\n"
        "unknown: asked>unknown send>! unresolved>! not_sent>! still_open>wanted "
        "restart>unknown\n"
    );
}

TEST_CASE("an order is sent in one place only", "[binance][orders][T9]") {
    for (std::size_t s = 0; s < k_send_phases; ++s) {
        for (std::size_t e = 0; e < k_send_events; ++e) {
            const auto from = static_cast<SendPhase>(s);
            const auto event = static_cast<SendEvent>(e);
            if (next(from, event) == SendPhase::sent) {
                CHECK(from == SendPhase::held);
                CHECK(event == SendEvent::durable);
            }
        }
    }
}

TEST_CASE("nothing denies an order that the exchange has had", "[binance][orders][T9]") {
    for (const BookState state : {BookState::open, BookState::ending}) {
        for (const Fact fact : {Fact::refused, Fact::absent, Fact::not_sent, Fact::withdrawn}) {
            CHECK_FALSE(next(state, fact).has_value());
        }
    }
}
