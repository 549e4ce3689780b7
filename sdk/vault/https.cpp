// SPDX-License-Identifier: Apache-2.0
#include "sdk/vault/https.hpp"

#include <tenon/plugin.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/impl/src.hpp>  // the shared library of Asio has none of TLS
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <exception>
#include <optional>

namespace tenon::vault {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using Tls = beast::ssl_stream<beast::tcp_stream>;

// How soon a cancel is seen.
constexpr std::chrono::milliseconds k_slice{50};
// Written at once; the time-out begins anew with each.
constexpr std::size_t k_block = std::size_t{256} << 10U;

}  // namespace

struct Wire::Impl {
    explicit Impl(Options given) : options{std::move(given)}, context{ssl::context::tls_client} {
        if (!options.url.is_tls) {
            return;
        }
        context.set_options(ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
        boost::system::error_code error;
        if (options.ca_file.empty()) {
            context.set_default_verify_paths(error);
        } else {
            context.load_verify_file(options.ca_file, error);
        }
        if (error) {
            throw Error{
                TENON_INVALID,
                "the authorities " + options.ca_file + " cannot be used: " + error.message()};
        }
        context.set_verify_mode(ssl::verify_peer);
    }

    [[nodiscard]] beast::tcp_stream& lowest() { return tls ? tls->next_layer() : *plain; }

    void restart_timeout() {
        lowest().expires_after(std::chrono::milliseconds{options.timeout_ms});
    }

    void close() noexcept {
        tls.reset();
        plain.reset();
        buffer.clear();
    }

    asio::awaitable<void> connect() {
        asio::ip::tcp::resolver resolver{io};
        const auto places = co_await resolver.async_resolve(
            options.url.host, options.url.port, asio::use_awaitable
        );
        if (options.url.is_tls) {
            tls = std::make_unique<Tls>(io, context);
        } else {
            plain = std::make_unique<beast::tcp_stream>(io);
        }
        restart_timeout();
        co_await lowest().async_connect(places, asio::use_awaitable);
        if (!tls) {
            co_return;
        }
        tls->set_verify_callback(ssl::host_name_verification{options.url.host});
        // What the macro SSL_set_tlsext_host_name does, without its cast.
        std::string name = options.url.host;
        if (SSL_ctrl(
                tls->native_handle(),
                SSL_CTRL_SET_TLSEXT_HOSTNAME,
                TLSEXT_NAMETYPE_host_name,
                name.data()
            ) != 1) {
            throw Error{TENON_UNAVAILABLE, "the store's name cannot be sent"};
        }
        restart_timeout();
        co_await tls->async_handshake(ssl::stream_base::client, asio::use_awaitable);
    }

    template <class Stream>
    asio::awaitable<WireReply> talk(Stream& stream, const WireRequest& request) {
        http::request<http::empty_body> head;
        head.version(11);
        head.method_string(request.method);
        head.target(request.target);
        head.set(http::field::host, options.url.authority());
        for (const auto& [name, value] : request.headers) {
            head.set(name, value);
        }
        if (!request.body.empty() || request.method == "PUT") {
            head.set(http::field::content_length, std::to_string(request.body.size()));
        }
        restart_timeout();
        http::request_serializer<http::empty_body> serializer{head};
        co_await http::async_write_header(stream, serializer, asio::use_awaitable);
        for (std::size_t at = 0; at < request.body.size(); at += k_block) {
            const auto part = request.body.subspan(at, std::min(k_block, request.body.size() - at));
            restart_timeout();
            co_await asio::async_write(
                stream, asio::buffer(part.data(), part.size()), asio::use_awaitable
            );
        }
        http::response_parser<http::vector_body<unsigned char>> parser;
        parser.body_limit(options.body_max);
        parser.skip(request.method == "HEAD");
        restart_timeout();
        co_await http::async_read_header(stream, buffer, parser, asio::use_awaitable);
        while (!parser.is_done()) {
            restart_timeout();
            co_await http::async_read_some(stream, buffer, parser, asio::use_awaitable);
        }
        WireReply reply;
        reply.status = parser.get().result_int();
        reply.length = parser.content_length().value_or(0);
        if (!parser.get().keep_alive()) {
            close();
        }
        reply.body = std::move(parser.get().body());
        co_return reply;
    }

    asio::awaitable<WireReply> whole(const WireRequest& request) {
        if (!tls && !plain) {
            co_await connect();
        }
        if (tls) {
            co_return co_await talk(*tls, request);
        }
        co_return co_await talk(*plain, request);
    }

    // Runs until `is_done`, or ends what runs when cancelled or too late.
    template <class Done>
    void run(const Done& is_done) {
        const auto slices_max = options.timeout_ms / k_slice.count() * 20 + 20;
        for (std::int64_t slice = 0; !is_done(); ++slice) {
            io.restart();
            io.run_for(k_slice);
            if (options.is_cancelled && options.is_cancelled()) {
                throw Error{TENON_UNAVAILABLE, "the work was cancelled"};
            }
            if (slice > slices_max) {
                throw Error{TENON_TIMEOUT, "the store is too slow"};
            }
        }
    }

    Options options;
    ssl::context context;
    asio::io_context io{1};
    std::unique_ptr<beast::tcp_stream> plain;
    std::unique_ptr<Tls> tls;
    beast::flat_buffer buffer;
};

Wire::Wire(Options options) : impl_{std::make_unique<Impl>(std::move(options))} {}

Wire::~Wire() = default;

WireReply Wire::exchange(const WireRequest& request) {
    std::optional<WireReply> reply;
    std::exception_ptr failure;
    const std::string place = impl_->options.url.authority();
    try {
        asio::co_spawn(
            impl_->io,
            impl_->whole(request),
            [&](std::exception_ptr error, WireReply got) {
                failure = std::move(error);
                if (!failure) {
                    reply = std::move(got);
                }
            }
        );
        impl_->run([&] { return reply || failure; });
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const boost::system::system_error& e) {
        impl_->close();
        const bool is_late = e.code() == beast::error::timeout;
        throw Error{is_late ? TENON_TIMEOUT : TENON_UNAVAILABLE, place + ": " + e.code().message()};
    } catch (...) {
        // What runs still refers to the request: it ends before this returns.
        impl_ = std::make_unique<Impl>(std::move(impl_->options));
        throw;
    }
    return std::move(*reply);
}

void Wire::wait(std::int64_t ns) {
    asio::steady_timer timer{impl_->io};
    timer.expires_after(std::chrono::nanoseconds{ns});
    bool is_done = false;
    timer.async_wait([&](boost::system::error_code) { is_done = true; });
    try {
        impl_->run([&] { return is_done; });
    } catch (...) {
        timer.cancel();
        impl_->io.restart();
        impl_->io.run();
        throw;
    }
}

}  // namespace tenon::vault
