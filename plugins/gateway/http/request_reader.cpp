// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/request_reader.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace tenon::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

constexpr ReadFault k_bad_request{400, "bad_request", "malformed HTTP request"};
constexpr ReadFault k_bad_host{400, "bad_host", "HTTP/1.1 needs exactly one Host header"};
constexpr ReadFault k_bad_target{400, "bad_target", "the request target must be a path or an URL"};
constexpr ReadFault k_bad_length{400, "bad_length", "Content-Length or Transfer-Encoding is wrong"};
constexpr ReadFault k_folded{400, "folded_header", "folded header lines are not accepted"};
constexpr ReadFault k_bad_encoding{
    501,
    "transfer_encoding",
    "only Transfer-Encoding: chunked is supported"};
constexpr ReadFault k_bad_version{505, "version", "only HTTP/1.0 and HTTP/1.1 are supported"};
constexpr ReadFault k_bad_expect{417, "expectation", "only Expect: 100-continue is supported"};
constexpr ReadFault k_large_header{431, "header_too_large", "the request's header is too large"};
constexpr ReadFault k_large_body{413, "body_too_large", "the request's body is too large"};

const ReadFault& fault_of(const error_code& ec) {
    using beast_http::error;
    if (ec == error::header_limit) {
        return k_large_header;
    }
    if (ec == error::body_limit || ec == error::buffer_overflow) {
        return k_large_body;
    }
    if (ec == error::bad_version) {
        return k_bad_version;
    }
    if (ec == error::bad_content_length || ec == error::multiple_content_length ||
        ec == error::bad_transfer_encoding) {
        return k_bad_length;
    }
    if (ec == error::bad_target) {
        return k_bad_target;
    }
    return k_bad_request;
}

bool equals_ignoring_case(BeastView a, BeastView b) {
    return boost::beast::iequals(a, b);
}

void to_lower(char* text, std::size_t size) {
    std::transform(text, text + size, text, [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
}

}  // namespace

// Everything about the request at hand, and Beast's state for it, which is made anew for each
// request: its parsers cannot be reused.
class RequestReader::Parser {
public:
    explicit Parser(const ReadLimits& limits) : limits_{limits} {
        headers_.reserve(32);
        reset();
    }

    void reset() {
        grammar_.emplace(*this);
        // One call to put() for the header, then one for each piece of the body.
        grammar_->eager(false);
        grammar_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
        grammar_->body_limit(limits_.body_bytes);
        headers_.clear();
        consumed_ = header_end_ = 0;
        fault_ = nullptr;
        method_ = path_ = query_ = body_ = {};
        hosts_ = 0;
        header_done_ = chunked_ = expects_ = http_1_0_ = has_upgrade_ = false;
    }

    State advance(char* data, std::size_t& size) {
        base_ = data;
        end_ = data + size;
        skip_empty_line();
        while (fault_ == nullptr && !grammar_->is_done()) {
            if (consumed_ == size) {
                return wait(size);
            }
            error_code ec;
            consumed_ +=
                grammar_->put(boost::asio::const_buffer{data + consumed_, size - consumed_}, ec);
            // Beast's own limit starts anew with each call, so the whole is counted here.
            if (grammar_->is_header_done() && header_end_ == 0) {
                header_end_ = consumed_;
            }
            if ((header_end_ == 0 ? size : header_end_) > limits_.header_bytes) {
                return fail(k_large_header);
            }
            if (ec == beast_http::error::need_more) {
                return wait(size);
            }
            if (ec) {
                return fail(fault_of(ec));
            }
        }
        return fault_ == nullptr ? State::complete : State::failed;
    }

    [[nodiscard]] bool keep_alive() const { return grammar_->keep_alive(); }

    [[nodiscard]] bool wants_upgrade() const { return has_upgrade_ && grammar_->upgrade(); }

    ReadLimits limits_;
    std::vector<HeaderSpan> headers_;
    std::size_t consumed_ = 0;
    std::size_t header_end_ = 0;  // 0 until it is there
    const ReadFault* fault_ = nullptr;
    Span method_, path_, query_, body_;
    bool expects_ = false;
    bool http_1_0_ = false;

private:
    class Grammar final : public beast_http::basic_parser<true> {
    public:
        explicit Grammar(Parser& owner) : owner_{&owner} {}

    private:
        void on_request_impl(
            beast_http::verb,
            BeastView method,
            BeastView target,
            int version,
            error_code& ec
        ) override {
            owner_->on_request(method, target, version, ec);
        }

        void on_response_impl(int, BeastView, int, error_code&) override {}

        void on_field_impl(beast_http::field field, BeastView name, BeastView value, error_code& ec)
            override {
            owner_->on_field(field, name, value, ec);
        }

        void on_header_impl(error_code& ec) override { owner_->on_header(ec); }

        void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}

        std::size_t on_body_impl(BeastView data, error_code&) override {
            return owner_->on_body(data);
        }

        void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}

        std::size_t on_chunk_body_impl(std::uint64_t, BeastView data, error_code&) override {
            return owner_->on_body(data);
        }

        void on_finish_impl(error_code&) override {}

        Parser* owner_;
    };

    State fail(const ReadFault& fault) {
        if (fault_ == nullptr) {
            fault_ = &fault;
        }
        return State::failed;
    }

    // Stops Beast from inside a callback.
    void refuse(const ReadFault& fault, error_code& ec) {
        fault_ = &fault;
        ec = beast_http::error::bad_field;
    }

    // An empty line before the request line is to be ignored (RFC 9112, 2.2).
    void skip_empty_line() {
        if (consumed_ == 0 && end_ - base_ >= 2 && base_[0] == '\r' && base_[1] == '\n') {
            consumed_ = 2;
        }
    }

    // Between two calls: what the framing of chunks took is given back, so that the buffer needs no
    // more room than the body.
    State wait(std::size_t& size) {
        if (chunked_ && header_end_ != 0) {
            const std::size_t kept =
                body_.size == 0 ? header_end_ : std::size_t{body_.at} + body_.size;
            std::memmove(base_ + kept, base_ + consumed_, size - consumed_);
            size -= consumed_ - kept;
            consumed_ = kept;
        }
        return State::need_more;
    }

    [[nodiscard]] Span span_of(BeastView text) const {
        return {
            static_cast<std::uint32_t>(text.data() - base_),
            static_cast<std::uint32_t>(text.size())};
    }

    void on_request(BeastView method, BeastView target, int version, error_code& ec) {
        method_ = span_of(method);
        http_1_0_ = version == 10;
        BeastView rest = target;
        if (!rest.starts_with('/')) {
            const bool absolute =
                rest.size() > 7 && (equals_ignoring_case(rest.substr(0, 7), "http://") ||
                                    equals_ignoring_case(rest.substr(0, 8), "https://"));
            if (absolute) {
                const std::size_t host = rest.find("//") + 2;
                rest = rest.substr(std::min(rest.find_first_of("/?", host), rest.size()));
            } else if (!(rest == "*" && method == "OPTIONS")) {
                return refuse(k_bad_target, ec);
            }
        }
        const std::size_t end = rest.find('#') == BeastView::npos ? rest.size() : rest.find('#');
        const std::size_t mark = std::min(rest.find('?'), end);
        path_ = span_of(rest.substr(0, mark));
        query_ = mark < end ? span_of(rest.substr(mark + 1, end - mark - 1)) : Span{};
    }

    void on_field(beast_http::field field, BeastView name, BeastView value, error_code& ec) {
        if (header_done_) {
            return;  // a trailer: allowed, not used
        }
        if (headers_.size() == limits_.header_count) {
            return refuse(k_large_header, ec);
        }
        // Beast joins folded lines in a buffer of its own.
        if (!value.empty() && (value.data() < base_ || value.data() >= end_)) {
            return refuse(k_folded, ec);
        }
        const Span at = span_of(name);
        const HeaderSpan header{at, value.empty() ? Span{at.at, 0} : span_of(value)};
        to_lower(base_ + header.name.at, header.name.size);
        headers_.push_back(header);
        switch (field) {
            case beast_http::field::host:
                ++hosts_;
                break;
            case beast_http::field::expect:
                expects_ = equals_ignoring_case(value, "100-continue");
                if (!expects_) {
                    refuse(k_bad_expect, ec);
                }
                break;
            case beast_http::field::transfer_encoding:
                chunked_ = equals_ignoring_case(value, "chunked");
                if (!chunked_) {
                    refuse(k_bad_encoding, ec);
                }
                break;
            case beast_http::field::upgrade:
                has_upgrade_ = true;
                break;
            default:
                break;
        }
    }

    void on_header(error_code& ec) {
        header_done_ = true;
        if ((hosts_ != 1 && !http_1_0_) || hosts_ > 1) {
            return refuse(k_bad_host, ec);
        }
        if (chunked_ && http_1_0_) {
            return refuse(k_bad_length, ec);
        }
    }

    std::size_t on_body(BeastView data) {
        if (body_.size == 0) {
            body_.at = static_cast<std::uint32_t>(header_end_);
        }
        char* const end = base_ + body_.at + body_.size;
        if (end != data.data()) {
            std::memmove(end, data.data(), data.size());
        }
        body_.size += static_cast<std::uint32_t>(data.size());
        return data.size();
    }

    std::optional<Grammar> grammar_;
    char* base_ = nullptr;
    const char* end_ = nullptr;
    std::uint32_t hosts_ = 0;
    bool header_done_ = false;
    bool chunked_ = false;
    bool has_upgrade_ = false;
};

RequestReader::RequestReader(const ReadLimits& limits)
    : parser_{std::make_unique<Parser>(limits)} {}

RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::advance(char* data, std::size_t& size) {
    return parser_->advance(data, size);
}

void RequestReader::reset() {
    parser_->reset();
}

std::size_t RequestReader::consumed() const noexcept {
    return parser_->consumed_;
}

bool RequestReader::header_done() const noexcept {
    return parser_->header_end_ != 0;
}

bool RequestReader::take_expectation() noexcept {
    return header_done() && !parser_->http_1_0_ && std::exchange(parser_->expects_, false);
}

const ReadFault& RequestReader::fault() const noexcept {
    return *parser_->fault_;
}

Span RequestReader::method() const noexcept {
    return parser_->method_;
}

Span RequestReader::path() const noexcept {
    return parser_->path_;
}

Span RequestReader::query() const noexcept {
    return parser_->query_;
}

Span RequestReader::body() const noexcept {
    return parser_->body_;
}

const std::vector<HeaderSpan>& RequestReader::headers() const noexcept {
    return parser_->headers_;
}

bool RequestReader::keep_alive() const noexcept {
    return parser_->keep_alive();
}

bool RequestReader::http_1_0() const noexcept {
    return parser_->http_1_0_;
}

bool RequestReader::wants_upgrade() const noexcept {
    return parser_->wants_upgrade();
}

}  // namespace tenon::http
