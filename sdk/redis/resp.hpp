// SPDX-License-Identifier: Apache-2.0
// RESP3, the protocol of Redis 6 and later: reading messages, writing commands. No socket, no
// clock, no thread.
//
// Source: the specification of RESP3 (github.com/redis/redis-specifications, protocol/RESP3.md).
// Streamed strings and aggregates ("$?", "*?") are refused: no released Redis sends them.
// Attributes are read and dropped. A message is bounded in depth, elements and bytes; what breaks a
// bound or the grammar ends the stream with an error that names what came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::redis {

enum class Kind : std::uint8_t {
    text,  // simple, bulk or verbatim string
    error,
    integer,
    real,  // as text
    boolean,
    null,
    big_number,  // as text
    array,
    set,
    map,  // keys and values in turn
    push
};

struct Limits {
    std::size_t depth = 8;
    std::size_t elements = std::size_t{1} << 20;  // of one message
    std::size_t bytes = std::size_t{512} << 20;   // of one message, and so of one string
    std::size_t line = std::size_t{64} << 10;     // of a simple string, an error, a number
};

// A value of a message, as it lies in it.
struct Node {
    Kind kind = Kind::null;
    std::uint32_t count = 0;  // elements of an aggregate
    std::uint32_t end = 0;    // index of the node after it and what is in it
    std::size_t at = 0;       // its text, from the message's begin
    std::size_t length = 0;
    std::int64_t integer = 0;  // also of a boolean
};

// A message: values in the order in which they came. Does not own the bytes.
class Reply {
public:
    Reply() = default;

    Reply(const char* base, const std::vector<Node>* nodes) noexcept : base_{base}, nodes_{nodes} {}

    [[nodiscard]] Kind kind() const noexcept { return node().kind; }

    [[nodiscard]] bool is_error() const noexcept { return kind() == Kind::error; }

    [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::null; }

    // Of a string, an error, a real or big number; else empty.
    [[nodiscard]] std::string_view text() const noexcept {
        return {base_ + node().at, node().length};
    }

    [[nodiscard]] std::int64_t integer() const noexcept { return node().integer; }

    // Elements; of a map keys and values.
    [[nodiscard]] std::size_t size() const noexcept { return node().count; }

    // Element i < size(), found by going through those before it.
    [[nodiscard]] Reply operator[](std::size_t i) const noexcept {
        std::uint32_t at = index_ + 1;
        for (; i != 0; --i) {
            at = (*nodes_)[at].end;
        }
        return Reply{base_, nodes_, at};
    }

private:
    friend class Answer;

    Reply(const char* base, const std::vector<Node>* nodes, std::uint32_t index) noexcept
        : base_{base}, nodes_{nodes}, index_{index} {}

    [[nodiscard]] const Node& node() const noexcept { return (*nodes_)[index_]; }

    const char* base_ = nullptr;
    const std::vector<Node>* nodes_ = nullptr;
    std::uint32_t index_ = 0;
};

// A whole message that owns its bytes.
class Answer {
public:
    // Of a message as the reader gave it, not of a value in it.
    explicit Answer(const Reply& message);

    [[nodiscard]] Reply reply() const noexcept { return {data_.data(), &nodes_}; }

private:
    std::string data_;
    std::vector<Node> nodes_;
};

// Reads one message after the other. The bytes stay the caller's, who keeps those of a message
// until it is complete and may move them meanwhile. Not thread-safe.
class Reader {
public:
    enum class State { need_more, message, failed };

    explicit Reader(Limits limits = {}) : limits_{limits} {}

    // `data` begins where the message began and has all that came since. What was read of it in an
    // earlier call is not read again. After `message` the caller drops consumed() bytes.
    [[nodiscard]] State next(const char* data, std::size_t size);

    [[nodiscard]] std::size_t consumed() const noexcept { return at_; }

    // Valid until the next call, while `data` is.
    [[nodiscard]] Reply reply(const char* data) const noexcept { return {data, &nodes_}; }

    [[nodiscard]] const std::vector<Node>& nodes() const noexcept { return nodes_; }

    // Why it failed, for good.
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    struct Frame {
        std::uint64_t left;  // elements that are still to come
        std::uint32_t node;  // its own; of an attribute where it began
        bool attribute;
    };

    [[nodiscard]] State fail(std::string why);
    // The line at at_ without its CRLF; false: not there yet, or failed.
    [[nodiscard]] bool line(const char* data, std::size_t size, std::string_view& out);
    [[nodiscard]] bool number(std::string_view text, std::int64_t& out);
    [[nodiscard]] bool begin_value(const char* data, char type, std::string_view rest);
    [[nodiscard]] bool begin_text(char type, std::string_view rest);
    [[nodiscard]] bool begin_aggregate(Kind kind, std::string_view rest, bool attribute);
    [[nodiscard]] bool add(const Node& node);
    // A value is whole: so may be the aggregates around it.
    void close();

    Limits limits_;
    std::vector<Node> nodes_;
    std::vector<Frame> frames_;
    std::size_t at_ = 0;         // read so far, of this message
    std::size_t scanned_ = 0;    // of the line that is not whole yet
    std::size_t text_left_ = 0;  // of a string: its bytes with CRLF, when in_text_
    bool in_text_ = false;
    bool verbatim_ = false;
    bool done_ = false;
    std::string error_;
};

// Appends a command as an array of bulk strings.
void append_command(std::string& out, std::span<const std::string_view> words);

}  // namespace tenon::redis
