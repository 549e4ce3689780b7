// SPDX-License-Identifier: Apache-2.0
#include "kernel/runtime/admin_server.hpp"

#include "kernel/runtime/data_dir.hpp"
#include "sdk/admin/admin_protocol.hpp"

#include <tenon/plugin.hpp>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace tenon::runtime {

namespace {

int listen_in(const std::filesystem::path& data_dir) {
    const int folder = ::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/admin.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    // A socket left by a process that was killed; the folder's lock is ours.
    (void)::unlink((data_dir / "admin.sock").c_str());
    const mode_t before = ::umask(0177);
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::umask(before);
    const bool good = bound && ::listen(fd, 16) == 0;
    const std::string reason = std::strerror(errno);
    ::close(folder);
    if (!good) {
        ::close(fd);
        throw InUse{"the admin socket cannot be made in " + data_dir.string() + ": " + reason};
    }
    return fd;
}

}  // namespace

AdminServer::AdminServer(
    Exec& exec,
    registry::AdminCommands& commands,
    const std::filesystem::path& data_dir
)
    : exec_{&exec},
      commands_{&commands},
      path_{data_dir / "admin.sock"},
      listener_{listen_in(data_dir)} {
    const auto watch = [](void* self) {
        auto& mine = *static_cast<AdminServer*>(self);
        const auto fire = [](void* ctx, std::uint32_t) {
            (void)guard(nullptr, [&] { static_cast<AdminServer*>(ctx)->accept(); });
        };
        (void)Reactor::current()->watch(
            mine.listener_, TENON_FD_READ, fire, self, &mine.listener_watch_
        );
    };
    if (exec_->call(0, watch, this) != TENON_OK || listener_watch_ == 0) {
        ::close(listener_);
        throw InUse{"the admin socket cannot be served: no reactor"};
    }
}

bool AdminServer::stop(std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    (void)::unlink(path_.c_str());
    const auto end = [](void* self) {
        auto& mine = *static_cast<AdminServer*>(self);
        Reactor::current()->unwatch(mine.listener_watch_);
        ::close(mine.listener_);
        while (!mine.clients_.empty()) {
            mine.close(*mine.clients_.begin()->second);
        }
    };
    // Commands that run hold a pointer to this object until their answer was posted. One may begin
    // until the clients are gone, so they are waited for again; the last call is for its answer.
    const auto wait = [&] {
        std::unique_lock lock{mutex_};
        return idle_.wait_until(lock, until, [this] { return running_ == 0; });
    };
    (void)wait();
    const bool ended = exec_->call(0, end, this) == TENON_OK;
    const auto nothing = [](void*) {};
    return ended && wait() && exec_->call(0, nothing, nullptr) == TENON_OK;
}

void AdminServer::accept() {
    for (;;) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        if (clients_.size() >= k_max_clients) {
            ::close(fd);
            continue;
        }
        const std::uint64_t id = next_client_++;
        auto client = std::make_unique<Client>(Client{this, fd, id, 0, {}, {}, false, false});
        const auto fire = [](void* ctx, std::uint32_t events) {
            auto& mine = *static_cast<Client*>(ctx);
            (void)guard(nullptr, [&] { mine.server->ready(mine, events); });
        };
        if (Reactor::current()->watch(fd, TENON_FD_READ, fire, client.get(), &client->watch) !=
            TENON_OK) {
            ::close(fd);
            continue;
        }
        clients_.emplace(id, std::move(client));
    }
}

void AdminServer::ready(Client& client, std::uint32_t events) {
    if (!client.out.empty()) {
        if ((events & (TENON_FD_WRITE | TENON_FD_ERROR)) != 0) {
            write(client);
        }
        return;
    }
    read(client);
}

void AdminServer::read(Client& client) {
    std::array<char, 16384> block{};
    const ssize_t got = ::recv(client.fd, block.data(), block.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        close(client);
        return;
    }
    client.in.append(block.data(), static_cast<std::size_t>(got));
    next_line(client);
}

void AdminServer::next_line(Client& client) {
    const auto end = client.in.find('\n');
    if (end != std::string::npos) {
        std::string line = client.in.substr(0, end);
        client.in.erase(0, end + 1);
        launch(client, std::move(line));
    } else if (client.in.size() > k_max_line) {
        client.closing = true;
        client.out = "{\"error\":{\"code\":\"INVALID\",\"message\":\"the line is too long\"}}\n";
        write(client);
    }
}

void AdminServer::launch(Client& client, std::string line) {
    struct Job {
        AdminServer* server;
        std::uint64_t client;
        std::string line;
        std::string answer;
    };

    auto job = std::make_unique<Job>(Job{this, client.id, std::move(line), {}});
    const auto run = [](void* ctx) {
        std::unique_ptr<Job> mine{static_cast<Job*>(ctx)};
        AdminServer* const server = mine->server;
        const auto command = [server](std::string_view name, std::string_view args) {
            return server->commands_->run(name, args);
        };
        mine->answer = run_admin_line(command, mine->line);
        const auto back = [](void* done) {
            const std::unique_ptr<Job> owned{static_cast<Job*>(done)};
            (void)guard(nullptr, [&] {
                owned->server->answer(owned->client, std::move(owned->answer));
            });
        };
        if (server->exec_->reactor(0).post(back, mine.get())) {
            (void)mine.release();
        }
        const std::lock_guard lock{server->mutex_};
        --server->running_;
        server->idle_.notify_all();
    };
    // Nothing is read while a command runs: one at a time, and the socket holds the rest back.
    (void)Reactor::current()->rewatch(client.watch, 0);
    std::unique_lock lock{mutex_};  // the job's end waits until it is counted
    if (exec_->commands().run(run, job.get())) {
        (void)job.release();
        ++running_;
        return;
    }
    lock.unlock();
    answer(
        client.id,
        "{\"error\":{\"code\":\"UNAVAILABLE\",\"message\":\"too much to do; try again\"}}"
    );
}

void AdminServer::answer(std::uint64_t id, std::string text) {
    const auto found = clients_.find(id);
    if (found != clients_.end()) {
        found->second->out = std::move(text) + "\n";
        write(*found->second);
    }
}

void AdminServer::write(Client& client) {
    while (!client.out.empty()) {
        const ssize_t wrote = ::send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (wrote < 0 && errno == EAGAIN) {
            (void)Reactor::current()->rewatch(client.watch, TENON_FD_WRITE);
            return;
        }
        if (wrote < 0) {
            close(client);
            return;
        }
        client.out.erase(0, static_cast<std::size_t>(wrote));
    }
    if (client.closing) {
        close(client);
        return;
    }
    (void)Reactor::current()->rewatch(client.watch, TENON_FD_READ);
    next_line(client);
}

void AdminServer::close(Client& client) {
    Reactor::current()->unwatch(client.watch);
    ::close(client.fd);
    clients_.erase(client.id);
}

}  // namespace tenon::runtime
