// SPDX-License-Identifier: Apache-2.0
// A connection of a client: TCP, plain or with TLS, on a reactor. It has no deadlines of its own
// and does not come back when it is lost: whoever owns it does that. All on one reactor.
#pragma once

#include "sdk/net/resolver.hpp"
#include "sdk/net/tls.hpp"
#include "sdk/net/url.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::net {

// What connections share; outlives them.
struct Network {
    Exec exec;
    std::uint32_t reactor = 0;
    Resolver* resolver = nullptr;
    std::shared_ptr<const TlsContext> tls;  // may be empty when no URL asks for it
};

class Stream : public std::enable_shared_from_this<Stream> {
public:
    // Never called inside a call of the stream. After stream_closed none comes.
    class Events {
    public:
        virtual void stream_open() = 0;
        virtual void stream_data(std::string_view bytes) = 0;
        // The reason is for people, and holds nothing that was sent.
        virtual void stream_closed(const std::string& reason) = 0;

    protected:
        ~Events() = default;
    };

    // The most that may wait to be sent; beyond it the connection fails.
    static constexpr std::size_t k_output_max = 4'194'304;

    // Begins to connect.
    [[nodiscard]] static std::shared_ptr<Stream>
    connect(const Network& network, const Url& url, Events& events);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // After stream_open. What the network does not take now is sent later.
    void write(std::string_view bytes);

    // Inside stream_data of a plain connection, once the peer has agreed to it (STARTTLS): the
    // handshake follows, then stream_open comes again. What came in plain before is not TLS's: the
    // owner has to refuse a peer that said more than its agreement.
    void start_tls();

    // Bytes for the network so far, encrypted ones with TLS: those that were queued, and those that
    // the system has taken. What was queued at a mark has left in part when taken() > that mark.
    [[nodiscard]] std::uint64_t queued() const noexcept { return taken_ + output_.size(); }

    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }

    // No event comes afterwards. An address that was being connected to goes last from then on.
    void close() noexcept;

private:
    enum class State { resolving, connecting, handshake, open, closed };

    Stream(const Network& network, Url url, Events& events);
    void begin();
    void next_address(std::string reason);
    void connected();
    void ready(std::uint32_t events);
    void receive();
    void deliver(std::string_view bytes);
    void after_network();
    void flush();
    void watch(std::uint32_t events);
    void drop_socket() noexcept;
    void fail(const std::string& reason);
    void fail_later(const std::string& reason);

    Network network_;
    Url url_;
    Events* events_;
    State state_ = State::resolving;
    std::vector<Address> addresses_;
    std::size_t next_ = 0;
    int socket_ = -1;
    std::uint64_t watch_ = 0;
    std::uint32_t watched_ = 0;
    std::optional<TlsSession> tls_;
    std::string output_, plain_;
    std::uint64_t taken_ = 0;
};

}  // namespace tenon::net
