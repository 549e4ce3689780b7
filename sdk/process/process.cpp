// SPDX-License-Identifier: Apache-2.0
#include "sdk/process/process.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace tenon::process {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw InUse{what + ": " + std::strerror(errno)};
}

struct Address {
    std::string host;
    std::string port;
};

Address split(const std::string& listen) {
    const auto colon = listen.rfind(':');
    if (colon == std::string::npos || colon == 0) {
        throw std::invalid_argument{"\"" + listen + "\" is not ADDR:PORT"};
    }
    Address address{listen.substr(0, colon), listen.substr(colon + 1)};
    if (address.host.starts_with('[') && address.host.ends_with(']')) {
        address.host = address.host.substr(1, address.host.size() - 2);
    }
    std::uint16_t port = 0;
    const char* const end = address.port.data() + address.port.size();
    const auto [last, ec] = std::from_chars(address.port.data(), end, port);
    if (ec != std::errc{} || last != end) {
        throw std::invalid_argument{"\"" + listen + "\" has no port from 0 to 65535"};
    }
    return address;
}

bool has_manager() {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    return path != nullptr && *path != '\0';
}

std::optional<sockaddr_storage> listens_on(int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    sockaddr_storage address{};
    socklen_t address_size = sizeof address;
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0 ||
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &address_size) != 0) {
        return std::nullopt;
    }
    return address;
}

bool same_port(in_port_t wanted, in_port_t found) {
    return wanted == 0 || wanted == found;
}

bool matches(const sockaddr* wanted, const sockaddr_storage& found) {
    if (wanted->sa_family != found.ss_family) {
        return false;
    }
    if (wanted->sa_family == AF_INET) {
        sockaddr_in a{};
        sockaddr_in b{};
        std::memcpy(&a, wanted, sizeof a);
        std::memcpy(&b, &found, sizeof b);
        return a.sin_addr.s_addr == b.sin_addr.s_addr && same_port(a.sin_port, b.sin_port);
    }
    if (wanted->sa_family == AF_INET6) {
        sockaddr_in6 a{};
        sockaddr_in6 b{};
        std::memcpy(&a, wanted, sizeof a);
        std::memcpy(&b, &found, sizeof b);
        return IN6_ARE_ADDR_EQUAL(&a.sin6_addr, &b.sin6_addr) != 0 &&
               same_port(a.sin6_port, b.sin6_port);
    }
    return false;
}

std::vector<int> open_descriptors() {
    std::vector<int> found;
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", ec}) {
        const std::string name = entry.path().filename();
        int fd = -1;
        (void)std::from_chars(name.data(), name.data() + name.size(), fd);
        found.push_back(fd);
    }
    return found;
}

// sd_listen_fds(3): what the service manager gave this process begins at 3.
int given_descriptors() {
    const auto number = [](const char* name) {
        const char* const text = std::getenv(name);
        return text == nullptr ? 0L : std::strtol(text, nullptr, 10);
    };
    return number("LISTEN_PID") == ::getpid() ? static_cast<int>(number("LISTEN_FDS")) : 0;
}

// The address was changed: clients of the old one would wait for ever.
void close_given_listeners() {
    constexpr int k_first = 3;
    for (int fd = k_first; fd < k_first + given_descriptors(); ++fd) {
        if (listens_on(fd)) {
            ::close(fd);
        }
    }
    if (given_descriptors() > 0) {
        notify_systemd("FDSTOREREMOVE=1\nFDNAME=listener");
    }
}

// One datagram to the service manager, with a descriptor if `fd` is not -1.
void notify(std::string_view state, int fd) noexcept {
    if (!has_manager()) {
        return;
    }
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) {
        return;
    }
    std::memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') {
        address.sun_path[0] = '\0';  // the abstract namespace
    }
    iovec text{const_cast<char*>(state.data()), state.size()};  // read from, never written to
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
    msghdr message{};
    message.msg_name = &address;
    message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    const int out = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (out >= 0) {
        (void)::sendmsg(out, &message, MSG_NOSIGNAL);
        ::close(out);
    }
}

}  // namespace

void probe_listen(const std::string& listen) {
    const Address address = split(listen);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    addrinfo* found = nullptr;
    if (const int rc = ::getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);
        rc != 0) {
        throw std::invalid_argument{"\"" + listen + "\" is no address: " + ::gai_strerror(rc)};
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list{found, &::freeaddrinfo};
    if (const int kept = kept_listener(found->ai_addr); kept >= 0) {
        ::close(kept);
        return;
    }
    close_given_listeners();
    const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        fail("no socket for " + listen);
    }

    struct Close {
        int fd;

        ~Close() { ::close(fd); }
    } close{fd};

    const int on = 1;
    (void)::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, 1) != 0) {
        fail("cannot listen on " + listen);
    }
}

void notify_systemd(std::string_view state) noexcept {
    notify(state, -1);
}

int kept_listener(const sockaddr* address) noexcept try {
    if (!has_manager()) {
        return -1;
    }
    for (const int fd : open_descriptors()) {
        if (const auto found = listens_on(fd); found && matches(address, *found)) {
            // Given ones are inherited by programs that this process starts, unless told otherwise.
            (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
            (void)::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
            return ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
        }
    }
    return -1;

} catch (const std::exception&) {  // out of memory: as if there were none

    return -1;
}

void keep_listener(int fd) noexcept {
    if (has_manager() && ::fcntl(fd, F_DUPFD_CLOEXEC, 3) >= 0) {
        notify("FDSTORE=1\nFDNAME=listener", fd);
    }
}

}  // namespace tenon::process
