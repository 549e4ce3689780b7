// SPDX-License-Identifier: Apache-2.0
#include "tests/support/cutting_proxy.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::test {
namespace {

// The text of a statement as the protocol carries it, with the byte that ends it.
constexpr std::string_view k_commit{"COMMIT\0", 7};
constexpr std::size_t k_backlog_max = std::size_t{1} << 20U;

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{"proxy: " + what + ": " + std::strerror(errno)};
}

void set_nonblocking(int fd) {
    (void)::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// As much as goes. False: the other side is gone.
bool send_some(int fd, std::string& bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        bytes.erase(0, static_cast<std::size_t>(n));
    }
    return true;
}

// False: the end.
bool receive_some(int fd, std::string& bytes) {
    std::array<char, 65'536> buffer{};
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n > 0) {
        bytes.append(buffer.data(), static_cast<std::size_t>(n));
        return true;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

bool take_one(std::atomic<int>& count) {
    int left = count;
    while (left > 0 && !count.compare_exchange_weak(left, left - 1)) {}
    return left > 0;
}

}  // namespace

struct CuttingProxy::Pair {
    ~Pair() {
        ::close(client);
        ::close(server);
    }

    int client = -1;
    int server = -1;
    std::string to_server, to_client;
    std::string tail;  // the last bytes of the client, in which a COMMIT may begin
    bool lose_answer = false;
    bool over = false;
};

CuttingProxy::CuttingProxy(std::filesystem::path socket) : socket_{std::move(socket)} {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        fail("pipe");
    }
    wake_out_ = ends[0];
    wake_in_ = ends[1];
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, raw, size) != 0 || ::listen(listener_, 256) != 0 ||
        ::getsockname(listener_, raw, &size) != 0) {
        fail("listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread{[this] { run(); }};
}

CuttingProxy::~CuttingProxy() {
    stopping_ = true;
    wake();
    thread_.join();
    ::close(listener_);
    ::close(wake_in_);
    ::close(wake_out_);
}

void CuttingProxy::wake() noexcept {
    (void)!::write(wake_in_, "x", 1);
}

void CuttingProxy::go_silent() {
    silent_ = true;
    wake();
}

void CuttingProxy::resume() {
    silent_ = false;
    wake();
}

void CuttingProxy::lose_answers(int count) {
    answers_to_lose_ = count;
}

void CuttingProxy::lose_commits(int count) {
    commits_to_lose_ = count;
}

void CuttingProxy::drop_all() {
    dropping_ = true;
    wake();
}

void CuttingProxy::run() {
    while (!stopping_) {
        turn();
    }
}

void CuttingProxy::turn() {
    if (dropping_.exchange(false)) {
        pairs_.clear();
    }
    std::vector<pollfd> fds{{wake_out_, POLLIN, 0}};
    const bool carrying = !silent_;
    if (carrying) {
        fds.push_back({listener_, POLLIN, 0});
        for (const auto& pair : pairs_) {
            const auto events = [](const std::string& in, const std::string& out) {
                return static_cast<short>(
                    (in.size() < k_backlog_max ? POLLIN : 0) | (out.empty() ? 0 : POLLOUT)
                );
            };
            fds.push_back({pair->client, events(pair->to_server, pair->to_client), 0});
            fds.push_back({pair->server, events(pair->to_client, pair->to_server), 0});
        }
    }
    if (::poll(fds.data(), fds.size(), -1) < 0) {
        return;
    }
    std::array<char, 64> woken{};
    while (::read(wake_out_, woken.data(), woken.size()) > 0) {}
    if (!carrying || silent_) {
        return;
    }
    const std::size_t known = pairs_.size();
    for (std::size_t i = 0; i < known; ++i) {
        carry(*pairs_[i], fds[2 + 2 * i].revents, fds[3 + 2 * i].revents);
    }
    std::erase_if(pairs_, [](const auto& pair) { return pair->over; });
    if (fds[1].revents != 0) {
        accept_one();
    }
}

void CuttingProxy::accept_one() {
    auto pair = std::make_unique<Pair>();
    pair->client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    pair->server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_.native().copy(address.sun_path, sizeof address.sun_path - 1);
    if (pair->client < 0 || pair->server < 0 ||
        ::connect(pair->server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        return;  // the server is away: the client sees its connection end
    }
    const int on = 1;
    (void)::setsockopt(pair->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    set_nonblocking(pair->server);
    pairs_.push_back(std::move(pair));
}

void CuttingProxy::carry(Pair& pair, short client_events, short server_events) {
    if (client_events != 0) {
        from_client(pair);
    }
    if (server_events != 0 && !pair.over) {
        from_server(pair);
    }
    pair.over = pair.over || !send_some(pair.server, pair.to_server) ||
                !send_some(pair.client, pair.to_client);
}

void CuttingProxy::from_client(Pair& pair) {
    std::string bytes;
    pair.over = !receive_some(pair.client, bytes);
    const std::string seen = pair.tail + bytes;
    if (seen.find(k_commit) != std::string::npos) {
        if (take_one(commits_to_lose_)) {
            ++cuts_;
            pair.over = true;
            return;
        }
        pair.lose_answer = pair.lose_answer || take_one(answers_to_lose_);
    }
    pair.tail = seen.substr(seen.size() - std::min(seen.size(), k_commit.size() - 1));
    pair.to_server += bytes;
    if (pair.over && pair.lose_answer) {
        ++cuts_;  // who asked has gone: the answer is lost all the same
    }
}

void CuttingProxy::from_server(Pair& pair) {
    std::string bytes;
    const bool more = receive_some(pair.server, bytes);
    if (pair.lose_answer && !bytes.empty()) {
        ++cuts_;
        pair.over = true;  // the answer is here: the server has done it
        return;
    }
    pair.to_client += bytes;
    if (!more) {
        (void)send_some(pair.client, pair.to_client);
        pair.over = true;
    }
}

}  // namespace tenon::test
