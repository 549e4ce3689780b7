// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/predictor/http_post.hpp"

#include <tenon/plugin.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/impl/src.hpp>  // the shared library of Asio has none of TLS
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include <algorithm>
#include <exception>
#include <optional>

namespace tenon::predictor {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;

constexpr std::uint64_t k_body_max = 1'048'576;

struct Reply {
    unsigned status = 0;
    std::string body;
};

template <class Stream>
asio::awaitable<Reply> exchange(Stream& stream, const Url& url, const Post& post) {
    http::request<http::string_body> request{http::verb::post, url.path, 11};
    request.set(http::field::host, url.host);
    request.set(http::field::content_type, "application/json");
    request.set(http::field::connection, "close");
    if (!post.authorization.empty()) {
        request.set(http::field::authorization, post.authorization);
    }
    request.body() = post.body;
    request.prepare_payload();
    co_await http::async_write(stream, request, asio::use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(k_body_max);
    co_await http::async_read(stream, buffer, parser, asio::use_awaitable);
    co_return Reply{parser.get().result_int(), std::move(parser.get().body())};
}

asio::awaitable<Reply> talk(const Url& url, const Post& post) {
    const auto executor = co_await asio::this_coro::executor;
    asio::ip::tcp::resolver resolver{executor};
    const auto places = co_await resolver.async_resolve(url.host, url.port, asio::use_awaitable);
    if (!url.is_tls) {
        beast::tcp_stream stream{executor};
        stream.expires_after(post.timeout);
        co_await stream.async_connect(places, asio::use_awaitable);
        co_return co_await exchange(stream, url, post);
    }
    ssl::context context{ssl::context::tls_client};
    context.set_default_verify_paths();
    context.set_verify_mode(ssl::verify_peer);
    beast::ssl_stream<beast::tcp_stream> stream{executor, context};
    stream.set_verify_callback(ssl::host_name_verification{url.host});
    // What the macro SSL_set_tlsext_host_name does, without its cast.
    std::string name = url.host;
    if (SSL_ctrl(
            stream.native_handle(),
            SSL_CTRL_SET_TLSEXT_HOSTNAME,
            TLSEXT_NAMETYPE_host_name,
            name.data()
        ) != 1) {
        throw Error{TENON_UNAVAILABLE, "the provider's name cannot be sent"};
    }
    beast::get_lowest_layer(stream).expires_after(post.timeout);
    co_await beast::get_lowest_layer(stream).async_connect(places, asio::use_awaitable);
    co_await stream.async_handshake(ssl::stream_base::client, asio::use_awaitable);
    co_return co_await exchange(stream, url, post);
}

[[nodiscard]] Reply run(const Url& url, const Post& post) {
    asio::io_context io{1};
    std::optional<Reply> reply;
    std::exception_ptr failure;
    asio::co_spawn(io, talk(url, post), [&](std::exception_ptr error, Reply got) {
        failure = std::move(error);
        if (!failure) {
            reply = std::move(got);
        }
    });
    io.run_for(post.timeout);
    if (failure) {
        std::rethrow_exception(failure);
    }
    if (!reply) {
        throw Error{TENON_TIMEOUT, "the provider does not answer in time"};
    }
    return std::move(*reply);
}

[[nodiscard]] tenon_status status_of(unsigned http_status) noexcept {
    switch (http_status) {
        case 401:
        case 403:
            return TENON_DENIED;
        default:
            return TENON_UNAVAILABLE;
    }
}

}  // namespace

Url parse_url(std::string_view text) {
    Url url;
    const auto refuse = []() -> Error {
        return {TENON_INVALID, "expected a URL such as https://host:port/path"};
    };
    constexpr std::string_view k_tls = "https://", k_plain = "http://";
    url.is_tls = text.starts_with(k_tls);
    if (!url.is_tls && !text.starts_with(k_plain)) {
        throw refuse();
    }
    text.remove_prefix(url.is_tls ? k_tls.size() : k_plain.size());
    const std::size_t slash = std::min(text.find('/'), text.size());
    const std::string_view place = text.substr(0, slash);
    url.path = slash < text.size() ? text.substr(slash) : "/";
    const std::size_t colon = std::min(place.rfind(':'), place.size());
    url.host = place.substr(0, colon);
    url.port = colon < place.size() ? place.substr(colon + 1) : (url.is_tls ? "443" : "80");
    const auto is_bad = [](char c) { return c <= ' ' || c == '@' || c == '\x7f'; };
    if (url.host.empty() || url.port.empty() || url.port.size() > 5 ||
        url.port.find_first_not_of("0123456789") != std::string::npos ||
        std::any_of(text.begin(), text.end(), is_bad)) {
        throw refuse();
    }
    return url;
}

std::string post_json(const Url& url, const Post& post) {
    Reply reply;
    try {
        reply = run(url, post);
    } catch (const boost::system::system_error& e) {
        if (e.code() == beast::error::timeout) {
            throw Error{TENON_TIMEOUT, "the provider does not answer in time"};
        }
        throw Error{TENON_UNAVAILABLE, "the provider: " + e.code().message()};
    }
    if (reply.status < 200 || reply.status > 299) {
        throw Error{
            status_of(reply.status), "the provider answered " + std::to_string(reply.status)};
    }
    return std::move(reply.body);
}

}  // namespace tenon::predictor
