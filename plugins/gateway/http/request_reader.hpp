// SPDX-License-Identifier: Apache-2.0
// Reads one HTTP/1.x request out of a buffer that grows at its end (RFC 9112).
//
// The grammar is Boost.Beast's basic_parser; nothing is copied: the parts of a request are offsets
// into the caller's buffer, which may move between two calls of advance(). Names of headers are put
// into lower case in place, and the data of a chunked body is moved together in place. It opens no
// socket and knows no route. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace tenon::http {

struct ReadLimits {
    std::size_t header_bytes = 16 * 1024;
    std::size_t body_bytes = 1024 * 1024;
    std::size_t header_count = 100;
};

// Why a request is refused: the answer's status, a code for programs, a message for people.
// Literals.
struct ReadFault {
    std::uint32_t status;
    std::string_view code;
    std::string_view message;
};

// A part of the request: offset and length from the request's first byte.
struct Span {
    std::uint32_t at = 0;
    std::uint32_t size = 0;
};

struct HeaderSpan {
    Span name;  // in lower case
    Span value;
};

class RequestReader {
public:
    enum class State {
        need_more,  // so far well formed
        complete,   // the request ends after consumed() bytes
        failed,     // see fault(); the connection cannot go on
    };

    explicit RequestReader(const ReadLimits& limits);
    ~RequestReader();
    RequestReader(RequestReader&&) = delete;
    RequestReader(const RequestReader&) = delete;
    RequestReader& operator=(RequestReader&&) = delete;
    RequestReader& operator=(const RequestReader&) = delete;

    // Goes on reading; `data` starts at the request's first byte and holds `size` bytes, the
    // earlier ones unchanged. Chunked bodies shorten the data: `size` becomes what is left of it.
    State advance(char* data, std::size_t& size);

    // Forgets the request; the next advance() starts with a new one.
    void reset();

    // Bytes read so far; of a complete request, its length.
    [[nodiscard]] std::size_t consumed() const noexcept;
    // The header is there, the body perhaps not yet.
    [[nodiscard]] bool header_done() const noexcept;
    // Asks for "100 Continue" and still waits for its body; true once a request.
    [[nodiscard]] bool take_expectation() noexcept;

    // Of a failed request.
    [[nodiscard]] const ReadFault& fault() const noexcept;

    // Of a complete request.
    [[nodiscard]] Span method() const noexcept;
    [[nodiscard]] Span path() const noexcept;
    [[nodiscard]] Span query() const noexcept;
    [[nodiscard]] Span body() const noexcept;
    [[nodiscard]] const std::vector<HeaderSpan>& headers() const noexcept;
    [[nodiscard]] bool keep_alive() const noexcept;
    [[nodiscard]] bool http_1_0() const noexcept;
    // Asks for an upgrade of the connection (Connection: upgrade and an Upgrade header).
    [[nodiscard]] bool wants_upgrade() const noexcept;

private:
    class Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace tenon::http
