// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/orders/order_state.hpp"

namespace tenon::binance_venue {
namespace {

template <class State, std::size_t States, std::size_t Events>
using Table = std::array<std::array<std::optional<State>, Events>, States>;

template <class State, std::size_t States, std::size_t Events, class Event>
[[nodiscard]] std::optional<State>
look_up(const Table<State, States, Events>& table, State state, Event event) noexcept {
    return table[static_cast<std::size_t>(state)][static_cast<std::size_t>(event)];
}

constexpr auto k_none = std::nullopt;

// accepted, traded, ended, completed, refused, absent, not_sent, withdrawn
constexpr Table<BookState, k_book_states, k_facts> k_book = [] {
    using enum BookState;
    return Table<BookState, k_book_states, k_facts>{{
        {open, open, ending, gone, gone, gone, gone, gone},              // pending
        {open, open, ending, gone, k_none, k_none, k_none, k_none},      // open
        {ending, ending, ending, gone, k_none, k_none, k_none, k_none},  // ending
        {gone, gone, gone, gone, gone, gone, gone, gone},  // gone: late and repeated news
    }};
}();

// durable, answered, no_answer, not_sent, withdrawn, evidence, restart
constexpr Table<SendPhase, k_send_phases, k_send_events> k_send = [] {
    using enum SendPhase;
    return Table<SendPhase, k_send_phases, k_send_events>{{
        {sent, k_none, k_none, k_none, settled, settled, unknown},      // held
        {k_none, settled, unknown, settled, k_none, settled, unknown},  // sent
        {unknown, k_none, k_none, k_none, k_none, settled, unknown},    // unknown
        {settled, settled, settled, k_none, k_none, settled, settled},  // settled
    }};
}();

// asked, send, unresolved, not_sent, still_open, restart
constexpr Table<CancelPhase, k_cancel_phases, k_cancel_events> k_cancel = [] {
    using enum CancelPhase;
    return Table<CancelPhase, k_cancel_phases, k_cancel_events>{{
        {wanted, k_none, k_none, k_none, none, none},        // none
        {wanted, sent, k_none, k_none, wanted, unknown},     // wanted
        {sent, k_none, unknown, wanted, sent, unknown},      // sent
        {unknown, k_none, k_none, k_none, wanted, unknown},  // unknown
    }};
}();

template <class Enum, std::size_t N>
[[nodiscard]] std::string_view
word(const std::array<std::string_view, N>& words, Enum value) noexcept {
    const auto at = static_cast<std::size_t>(value);
    return at < N ? words[at] : "?";
}

}  // namespace

std::optional<BookState> next(BookState state, Fact fact) noexcept {
    return look_up(k_book, state, fact);
}

std::optional<SendPhase> next(SendPhase phase, SendEvent event) noexcept {
    return look_up(k_send, phase, event);
}

std::optional<CancelPhase> next(CancelPhase phase, CancelEvent event) noexcept {
    return look_up(k_cancel, phase, event);
}

std::string_view name(BookState state) noexcept {
    constexpr std::array<std::string_view, k_book_states> k_words{
        "pending", "open", "ending", "gone"};
    return word(k_words, state);
}

std::string_view name(Fact fact) noexcept {
    constexpr std::array<std::string_view, k_facts> k_words{
        "accepted", "traded", "ended", "completed", "refused", "absent", "not_sent", "withdrawn"};
    return word(k_words, fact);
}

std::string_view name(SendPhase phase) noexcept {
    constexpr std::array<std::string_view, k_send_phases> k_words{
        "held", "sent", "unknown", "settled"};
    return word(k_words, phase);
}

std::string_view name(SendEvent event) noexcept {
    constexpr std::array<std::string_view, k_send_events> k_words{
        "durable", "answered", "no_answer", "not_sent", "withdrawn", "evidence", "restart"};
    return word(k_words, event);
}

std::string_view name(CancelPhase phase) noexcept {
    constexpr std::array<std::string_view, k_cancel_phases> k_words{
        "none", "wanted", "sent", "unknown"};
    return word(k_words, phase);
}

std::string_view name(CancelEvent event) noexcept {
    constexpr std::array<std::string_view, k_cancel_events> k_words{
        "asked", "send", "unresolved", "not_sent", "still_open", "restart"};
    return word(k_words, event);
}

}  // namespace tenon::binance_venue
