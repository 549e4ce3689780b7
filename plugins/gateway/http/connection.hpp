// SPDX-License-Identifier: Apache-2.0
// One client's connection, without its socket: bytes come in through room() and received(), go out
// through gather() and written(). Parses, calls handlers, keeps answers in order.
//
// The input stays where it is while a request that borrows it is unanswered: room() is then empty.
// One thread. The server owns the socket, the timers and the connection.
#pragma once

#include "plugins/gateway/http/request_reader.hpp"
#include "plugins/gateway/http/shared.hpp"
#include "plugins/gateway/http/ws_session.hpp"

#include <tenon/abi/http.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <sys/uio.h>
#include <vector>

namespace tenon::http {

class Connection {
public:
    static constexpr std::int64_t k_never = std::numeric_limits<std::int64_t>::max();
    static constexpr std::uint64_t k_sequence_mask = 0xFFFFFF;

    // `id` has the lower 24 bits clear: they number the requests in its handles.
    Connection(Shared& shared, std::uint64_t id, std::string remote);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Where the next bytes may be read to; empty while reading must wait.
    [[nodiscard]] std::span<char> room();
    // `size` bytes have been put there: parses and calls handlers.
    void received(std::size_t size);

    // The client sends nothing more.
    void end_of_input() noexcept { input_ended_ = true; }

    // The socket is of no use any more: answers go nowhere from now on.
    void lost() noexcept;
    // Goes on with what is already here and had to wait. True: call again in the next turn.
    void resume();

    [[nodiscard]] bool stalled() const noexcept { return stalled_ && can_take(); }

    // TENON_OK | TENON_NOT_FOUND
    tenon_status respond(std::uint64_t handle, const tenon_http_response& response);
    // Answers by the server itself and ends the connection.
    void refuse(const ReadFault& fault);
    // The handler is going: its unanswered requests get 503, its WebSocket is closed with 1001.
    void unmount(std::uint64_t route);
    // Ends when what is due is answered. One that no request has come on yet stays, unless
    // `also_unused`: its first may be on its way, and its client has no reason to try again.
    void drain(bool also_unused);

    [[nodiscard]] WsSession* websocket() noexcept { return ws_.get(); }

    [[nodiscard]] std::size_t gather(iovec* out, std::size_t room) const noexcept;
    void written(std::size_t size) noexcept;

    [[nodiscard]] bool has_output() const noexcept;
    // Wants to hear of new bytes.
    [[nodiscard]] bool wants_input() const noexcept;
    // Everything is said and written; the socket may be closed, gently if lingers().
    [[nodiscard]] bool finished() const noexcept;

    // Input may be unread: close only after the client did, or its system drops our last words.
    [[nodiscard]] bool lingers() const noexcept { return lingers_; }

    void start_lingering() noexcept;

    // Handlers still hold requests of it.
    [[nodiscard]] bool borrowed() const noexcept { return count_ != 0; }

    [[nodiscard]] std::int64_t deadline_ns() const noexcept;
    // The deadline has passed.
    void due();

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

private:
    // A request and its answer.
    struct Exchange {
        tenon_http_request request{};
        std::vector<tenon_http_header> headers;
        std::string answer;         // written before its turn
        std::string place;          // what it holds a place of the concurrency limit under
        std::int64_t begin_ns = 0;  // when it got it; 0: it has none
        std::uint64_t route = 0;
        bool answered = false;
        bool head = false;
        bool close = false;
        bool say_keep_alive = false;
    };

    void process();
    void process_websocket();
    void take_request();
    // True, and answered: this address has to wait.
    [[nodiscard]] bool over_limit(Exchange& exchange);
    // True, and answered: the handler has enough to do.
    [[nodiscard]] bool overloaded(Exchange& exchange, const Route& route);
    void leave_place(Exchange& exchange, std::uint32_t status);
    void dispatch(Exchange& exchange);
    void upgrade(Exchange& exchange, const RouteTable::Match& match);
    void answer_unrouted(Exchange& exchange, bool path_known);
    [[nodiscard]] bool answer_preflight(Exchange& exchange);
    void answer_error(Exchange& exchange, const ReadFault& fault, const tenon_http_header* extra);
    void answer(Exchange& exchange, const tenon_http_response& response);
    void fill_request(Exchange& exchange);
    Exchange& push_exchange();

    [[nodiscard]] Exchange& exchange_at(std::size_t i) {
        return *ring_[(first_ + i) % ring_.size()];
    }

    void release_answered();
    void shrink();
    [[nodiscard]] bool can_take() const noexcept;
    [[nodiscard]] tenon_str text_at(Span span) const noexcept;

    Shared& shared_;
    const std::uint64_t id_;
    const std::string remote_;
    RequestReader reader_;
    std::unique_ptr<char[]> buffer_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;  // of what is not yet taken
    std::size_t end_ = 0;
    std::vector<std::unique_ptr<Exchange>> ring_;
    std::size_t first_ = 0;
    std::size_t count_ = 0;
    std::uint64_t next_sequence_ = 0;
    std::string out_;
    std::size_t out_written_ = 0;
    std::unique_ptr<WsSession> ws_;
    std::int64_t active_ns_;  // the last time something came in or went out
    std::int64_t partial_since_ns_ =
        0;                  // when the first byte of an incomplete request came; 0: none
    bool in_body_ = false;  // of that request
    bool wants_continue_ = false;
    bool input_ended_ = false;
    bool last_request_ = false;  // nothing after this request will be taken
    bool last_answer_ = false;   // nothing after what is in out_ will be sent
    bool lingers_ = false;
    bool lingering_ = false;
    bool lost_ = false;
    bool stalled_ = false;  // input waits for answers to be given or written
};

}  // namespace tenon::http
