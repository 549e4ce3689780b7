// SPDX-License-Identifier: Apache-2.0
// Life of an order at the exchange, as three tables of transitions. ORDERS.md draws them.
//
// BookState is what the journal knows: it changes by evidence alone, live and at replay alike.
// SendPhase and CancelPhase are what this process knows of its own requests: they are not
// journalled, because a request leaves after its order is on disk and before anything else is; so a
// restart turns everything that is not settled into `unknown`, and only evidence leads out of that.
//
// A pair without a next state cannot happen while everybody keeps to the protocol. It changes
// nothing and is counted: a contradiction is never resolved by a guess.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon::binance_venue {

// pending  journalled, and nothing is known of it yet
// open     the exchange has it
// ending   it has ended there, and fills that it had are not known here yet
// gone     ended, with all its fills; forgotten after that
enum class BookState : std::uint8_t { pending, open, ending, gone };

// accepted   the exchange has or had the order
// traded     a fill, and something is left
// ended      it has ended there with more filled than is known here
// completed  it has ended, and every fill is known
// refused    the exchange says that it did not take it
// absent     asked after it could still have accepted it, the exchange does not know it
// not_sent   no byte of it left this process
// withdrawn  cancelled before it was sent
enum class Fact : std::uint8_t {
    accepted,
    traded,
    ended,
    completed,
    refused,
    absent,
    not_sent,
    withdrawn
};

// held     waits for the disk
// sent     on its way, no answer yet
// unknown  it may be there or not: only evidence says so
// settled  evidence is here
enum class SendPhase : std::uint8_t { held, sent, unknown, settled };

// durable    its command is on disk: it goes out
// answered   the answer says what became of it
// no_answer  no answer, or one that says that the exchange does not know either
// not_sent   certain: it never left
// withdrawn  a cancel came before it left
// evidence   something else told of it first
// restart    a new process, which does not know what the last one sent
enum class SendEvent : std::uint8_t {
    durable,
    answered,
    no_answer,
    not_sent,
    withdrawn,
    evidence,
    restart
};

// none     nobody wants it cancelled
// wanted   somebody does, and no request is on its way
// sent     a request is on its way
// unknown  it was answered by something else than the order's end: the order is asked about
enum class CancelPhase : std::uint8_t { none, wanted, sent, unknown };

// asked       somebody wants it cancelled
// send        the request goes out
// unresolved  refused, or no answer: says nothing about the order
// not_sent    certain: it never left, or the exchange was not willing to look at it
// still_open  asked after the cancel's answer, the exchange says that the order lives
// restart     a new process, which does not know what the last one sent
enum class CancelEvent : std::uint8_t { asked, send, unresolved, not_sent, still_open, restart };

inline constexpr std::size_t k_book_states = 4, k_facts = 8;
inline constexpr std::size_t k_send_phases = 4, k_send_events = 7;
inline constexpr std::size_t k_cancel_phases = 4, k_cancel_events = 6;

// Empty: a contradiction; nothing changes.
[[nodiscard]] std::optional<BookState> next(BookState state, Fact fact) noexcept;
[[nodiscard]] std::optional<SendPhase> next(SendPhase phase, SendEvent event) noexcept;
[[nodiscard]] std::optional<CancelPhase> next(CancelPhase phase, CancelEvent event) noexcept;

// A word for logs and the tables' test.
[[nodiscard]] std::string_view name(BookState state) noexcept;
[[nodiscard]] std::string_view name(Fact fact) noexcept;
[[nodiscard]] std::string_view name(SendPhase phase) noexcept;
[[nodiscard]] std::string_view name(SendEvent event) noexcept;
[[nodiscard]] std::string_view name(CancelPhase phase) noexcept;
[[nodiscard]] std::string_view name(CancelEvent event) noexcept;

}  // namespace tenon::binance_venue
