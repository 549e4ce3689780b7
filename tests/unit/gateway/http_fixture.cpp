// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/gateway/http_fixture.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

extern "C" const tenon_entry* tenon_plugin_entry_v1(void);

namespace tenon::test {
namespace {

std::string make_directory() {
    std::string path = (std::filesystem::temp_directory_path() / "tenon-http-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
        throw std::runtime_error{"no temporary directory"};
    }
    return path;
}

}  // namespace

Client::Client(std::uint16_t port) : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        close(fd_);
        throw std::runtime_error{"cannot connect"};
    }
}

Client::~Client() {
    close(fd_);
}

void Client::send(std::string_view text) {
    while (!text.empty()) {
        const ssize_t size = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        if (size <= 0) {
            throw std::runtime_error{"cannot send"};
        }
        text.remove_prefix(static_cast<std::size_t>(size));
    }
}

bool Client::fill() {
    std::array<char, 65536> chunk{};
    const ssize_t size = recv(fd_, chunk.data(), chunk.size(), 0);
    if (size < 0) {
        throw std::runtime_error{"nothing came in time, or the connection was reset"};
    }
    buffer_.append(chunk.data(), static_cast<std::size_t>(size));
    return size != 0;
}

std::string Client::read(std::size_t size) {
    while (buffer_.size() < size) {
        if (!fill()) {
            throw std::runtime_error{"the server closed; there was: " + buffer_};
        }
    }
    std::string taken = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return taken;
}

std::string Client::response(bool head) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) {
            throw std::runtime_error{"the server closed; there was: " + buffer_};
        }
    }
    constexpr std::string_view k_length = "Content-Length: ";
    const std::size_t at = buffer_.find(k_length);
    const bool has_body = !head && at != std::string::npos && at < end;
    const std::size_t length = has_body ? std::stoul(buffer_.substr(at + k_length.size())) : 0;
    return read(end + 4 + length);
}

std::string Client::read_to_end() {
    while (fill()) {}
    return std::exchange(buffer_, {});
}

void Client::stop_sending() {
    shutdown(fd_, SHUT_WR);
}

void Client::set_receive_buffer(int bytes) {
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

std::string Client::upgrade(std::string_view path, std::string_view headers) {
    send(
        "GET " + std::string{path} +
        " HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
        std::string{headers} + "\r\n"
    );
    return response();
}

void Client::send_frame(unsigned opcode, std::string_view payload, bool final) {
    constexpr std::string_view k_mask = "\x12\x34\x56\x78";
    std::string frame;
    frame.push_back(static_cast<char>((final ? 0x80U : 0U) | opcode));
    if (payload.size() < 126) {
        frame.push_back(static_cast<char>(0x80U | payload.size()));
    } else {
        const std::size_t width = payload.size() < 65536 ? 2 : 8;
        frame.push_back(static_cast<char>(0x80U | (width == 2 ? 126U : 127U)));
        for (std::size_t i = width; i-- != 0;) {
            frame.push_back(static_cast<char>(payload.size() >> (8 * i)));
        }
    }
    frame.append(k_mask);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        frame.push_back(static_cast<char>(payload[i] ^ k_mask[i % 4]));
    }
    send(frame);
}

Client::Frame Client::frame() {
    const std::string head = read(2);
    Frame frame;
    frame.opcode = static_cast<unsigned char>(head[0]) & 0x0FU;
    frame.compressed = (static_cast<unsigned char>(head[0]) & 0x40U) != 0;
    std::size_t size = static_cast<unsigned char>(head[1]);
    if (size >= 126) {
        const std::string more = read(size == 126 ? 2 : 8);
        size = 0;
        for (const char c : more) {
            size = size << 8U | static_cast<unsigned char>(c);
        }
    }
    frame.payload = read(size);
    return frame;
}

std::string body_of(const std::string& response) {
    const std::size_t end = response.find("\r\n\r\n");
    return end == std::string::npos ? std::string{} : response.substr(end + 4);
}

int status_of(const std::string& response) {
    return response.size() < 12 ? 0 : std::stoi(response.substr(9, 3));
}

int close_code(const std::string& payload) {
    return payload.size() < 2 ? 0
                              : static_cast<unsigned char>(payload[0]) * 256 +
                                    static_cast<unsigned char>(payload[1]);
}

Gateway::Gateway(const std::string& config, const std::string& listen, const tenon_iface* throttle)
    : data_dir_{make_directory()} {
    if (throttle != nullptr) {
        host_.bind("tenon.throttle/1", *throttle);
    }
    host_.set_environment("listen", listen);
    host_.set_environment("data_dir", data_dir_);
    ErrorBuffer err;
    check(tenon_plugin_entry_v1()->create(host_.raw(), &plugin_, &err), err, "create");
    try {
        check(plugin_->vt->configure(plugin_, str(config), 0, &err), err, "configure");
        check(plugin_->vt->start(plugin_, &err), err, "start");
    } catch (...) {
        plugin_->vt->destroy(plugin_);
        std::filesystem::remove_all(data_dir_);
        throw;
    }
    tenon_iface iface{};
    check(plugin_->vt->query(plugin_, str("tenon.http_routes/1"), &iface), err, "query");
    routes_ = service_from<tenon_http_routes_1>(iface);
    std::string endpoint;
    std::ifstream{data_dir_ + "/listen"} >> endpoint;
    if (!endpoint.empty()) {
        port_ = static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
    }
}

Gateway::~Gateway() {
    stop();
    plugin_->vt->destroy(plugin_);
    std::filesystem::remove_all(data_dir_);
}

std::uint64_t Gateway::mount(const std::string& method, const std::string& path, Handler handler) {
    handlers_.push_back(std::make_unique<Handler>(std::move(handler)));
    const auto run = [](void* ctx, const tenon_http_request* request) {
        (*static_cast<Handler*>(ctx))(*request);
    };
    std::uint64_t handle = 0;
    const tenon_status status =
        routes_->mount(routes_.self, str(method), str(path), handlers_.back().get(), run, &handle);
    if (status != TENON_OK) {
        throw Error{status, "cannot mount " + path};
    }
    return handle;
}

void Gateway::mount_text(const std::string& path, const std::string& text) {
    mount("GET", path, [this, text](const tenon_http_request& request) {
        respond(request.handle, text);
    });
}

void Gateway::respond(std::uint64_t request, std::string_view body, std::uint32_t status) {
    tenon_http_response response{};
    response.size = sizeof response;
    response.status = status;
    response.content_type = str("text/plain");
    response.body = str(body);
    (void)routes_->respond(routes_.self, request, &response);
}

void Gateway::stop() {
    plugin_->vt->stop(plugin_);
}

void Gateway::drain(std::int64_t timeout_ns) {
    plugin_->vt->drain(plugin_, host_.reactor().now_ns() + timeout_ns, {});
}

void Gateway::on_reactor(const std::function<void()>& body) {
    call_on_reactor(host_.exec(), 0, [&] { body(); });
}

}  // namespace tenon::test
