// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/http_client.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <sodium/crypto_auth_hmacsha256.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

class Connection {
public:
    explicit Connection(const std::string& address) {
        const auto colon = address.rfind(':');
        if (colon == std::string::npos) {
            throw std::runtime_error{"\"" + address + "\" is not ADDR:PORT"};
        }
        std::string host = address.substr(0, colon);
        if (host.starts_with('[') && host.ends_with(']')) {
            host = host.substr(1, host.size() - 2);
        }
        // A server that listens everywhere is reached here.
        if (host == "0.0.0.0") {
            host = "127.0.0.1";
        } else if (host == "::") {
            host = "::1";
        }
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* found = nullptr;
        if (::getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) {
            throw std::runtime_error{"\"" + address + "\" is no address"};
        }
        const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, &::freeaddrinfo};
        fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval limit{10, 0};
        (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        (void)::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (fd_ < 0 || ::connect(fd_, found->ai_addr, found->ai_addrlen) != 0) {
            const std::string reason = std::strerror(errno);
            ::close(fd_);
            throw std::runtime_error{"no connection to " + address + ": " + reason};
        }
    }

    ~Connection() { ::close(fd_); }

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void send(const std::string& text) const {
        for (std::size_t at = 0; at < text.size();) {
            const ssize_t sent = ::send(fd_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
            if (sent < 0) {
                throw std::runtime_error{std::string{"sending: "} + std::strerror(errno)};
            }
            at += static_cast<std::size_t>(sent);
        }
    }

    // False at the end of the connection.
    bool receive(std::string& to) const {
        std::array<char, 65536> block{};
        const ssize_t got = ::recv(fd_, block.data(), block.size(), 0);
        if (got < 0) {
            throw std::runtime_error{std::string{"receiving: "} + std::strerror(errno)};
        }
        to.append(block.data(), static_cast<std::size_t>(got));
        return got > 0;
    }

private:
    int fd_ = -1;
};

// The value of Content-Length in the head, or npos.
std::size_t content_length(std::string head) {
    for (char& c : head) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    constexpr std::string_view k_name = "\r\ncontent-length:";
    const auto at = head.find(k_name);
    if (at == std::string::npos) {
        return std::string::npos;
    }
    const auto begin = head.find_first_not_of(' ', at + k_name.size());
    std::size_t length = std::string::npos;
    if (begin != std::string::npos) {
        (void)std::from_chars(head.data() + begin, head.data() + head.size(), length);
    }
    return length;
}

}  // namespace

HttpAnswer http_request(
    const std::string& address,
    std::string_view method,
    const std::string& target,
    const std::vector<std::string>& headers
) {
    const Connection connection{address};
    std::string request{method};
    request.append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(address);
    request.append("\r\nConnection: close\r\nContent-Length: 0\r\n");
    for (const std::string& header : headers) {
        request.append(header).append("\r\n");
    }
    connection.send(request + "\r\n");
    std::string in;
    std::size_t head = std::string::npos;
    while (head == std::string::npos) {
        if (!connection.receive(in)) {
            throw std::runtime_error{"the connection ended before the answer"};
        }
        head = in.find("\r\n\r\n");
    }
    const std::size_t length = content_length(in.substr(0, head + 2));
    const std::size_t begin = head + 4;
    while ((length == std::string::npos || in.size() - begin < length) && connection.receive(in)) {}
    HttpAnswer answer;
    const auto space = in.find(' ');
    if (!in.starts_with("HTTP/1.") || space == std::string::npos) {
        throw std::runtime_error{"the answer is not HTTP"};
    }
    (void)std::from_chars(in.data() + space + 1, in.data() + head, answer.status);
    answer.body = in.substr(begin, length);
    return answer;
}

std::string hmac_sha256_hex(std::string_view secret, std::string_view text) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(
        &state, reinterpret_cast<const unsigned char*>(secret.data()), secret.size()
    );
    crypto_auth_hmacsha256_update(
        &state, reinterpret_cast<const unsigned char*>(text.data()), text.size()
    );
    std::array<unsigned char, crypto_auth_hmacsha256_BYTES> digest{};
    crypto_auth_hmacsha256_final(&state, digest.data());
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string out;
    for (const unsigned char byte : digest) {
        out.push_back(k_digits[byte >> 4U]);
        out.push_back(k_digits[byte & 15U]);
    }
    return out;
}

}  // namespace tenon::cli
