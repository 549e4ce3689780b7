// SPDX-License-Identifier: Apache-2.0
#include "sdk/admin/admin_line.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace tenon {

struct AdminLine::Question {
    AdminLine* owner;
    std::uint64_t id;
    int fd;
    std::uint64_t watch = 0;
    std::uint64_t timer = 0;
    std::string out;
    std::size_t sent = 0;
    std::string in;
    Done done;
};

AdminLine::AdminLine(Service<tenon_exec_1> exec, std::string data_dir)
    : exec_{exec}, data_dir_{std::move(data_dir)} {}

AdminLine::~AdminLine() {
    close();
}

int AdminLine::connect() const noexcept {
    // By way of /proc, because a socket's path is short and a folder's may be long.
    const int folder = ::open(data_dir_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(folder) + "/admin.sock";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // A unix socket connects at once, or its queue is full.
    if (fd >= 0 &&
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(fd);
        fd = -1;
    }
    ::close(folder);
    return fd;
}

bool AdminLine::ask(std::string line, std::int64_t deadline_ns, Done done) {
    if (closed_ || questions_.size() >= k_in_flight_max) {
        return false;
    }
    const int fd = connect();
    if (fd < 0) {
        return false;
    }
    const std::uint64_t id = next_++;
    Question& question = *questions_.emplace(id, std::make_unique<Question>()).first->second;
    question.owner = this;
    question.id = id;
    question.fd = fd;
    question.out = std::move(line);
    question.out.push_back('\n');
    question.done = std::move(done);
    const auto on_ready = [](void* ctx, std::uint32_t) noexcept {
        auto& mine = *static_cast<Question*>(ctx);
        (void)guard(nullptr, [&] { mine.owner->ready(mine); });
    };
    const auto on_time = [](void* ctx) noexcept {
        auto& mine = *static_cast<Question*>(ctx);
        mine.timer = 0;
        (void)guard(nullptr, [&] {
            mine.owner->finish(mine, {{}, "the server did not answer in time"});
        });
    };
    if (exec_->watch(
            exec_.self, fd, TENON_FD_READ | TENON_FD_WRITE, on_ready, &question, &question.watch
        ) != TENON_OK) {
        drop(question);
        return false;
    }
    question.timer = exec_->timer(exec_.self, deadline_ns, on_time, &question);
    return true;
}

bool AdminLine::send_rest(Question& question) {
    while (question.sent < question.out.size()) {
        const ssize_t sent = ::send(
            question.fd,
            question.out.data() + question.sent,
            question.out.size() - question.sent,
            MSG_NOSIGNAL
        );
        if (sent < 0) {
            return errno == EAGAIN || errno == EINTR;
        }
        question.sent += static_cast<std::size_t>(sent);
    }
    return true;
}

void AdminLine::ready(Question& question) {
    if (question.sent < question.out.size()) {
        if (!send_rest(question)) {
            finish(question, {{}, "the server does not listen"});
            return;
        }
        if (question.sent == question.out.size()) {
            (void)exec_->rewatch(exec_.self, question.watch, TENON_FD_READ);
        }
    }
    std::array<char, 16384> block;
    while (true) {
        const ssize_t got = ::recv(question.fd, block.data(), block.size(), 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            finish(question, {{}, "the server ended before it answered"});
            return;
        }
        question.in.append(block.data(), static_cast<std::size_t>(got));
        if (const std::size_t end = question.in.find('\n'); end != std::string::npos) {
            question.in.resize(end);
            finish(question, {std::move(question.in), {}});
            return;
        }
        if (question.in.size() > k_answer_max) {
            finish(question, {{}, "the answer is too long"});
            return;
        }
    }
}

void AdminLine::finish(Question& question, Answer answer) {
    const Done done = std::move(question.done);
    drop(question);
    done(std::move(answer));
}

void AdminLine::drop(Question& question) noexcept {
    if (question.watch != 0) {
        exec_->unwatch(exec_.self, question.watch);
    }
    if (question.timer != 0) {
        exec_->cancel_timer(exec_.self, question.timer);
    }
    ::close(question.fd);
    questions_.erase(question.id);
}

void AdminLine::close() noexcept {
    closed_ = true;
    while (!questions_.empty()) {
        Question& question = *questions_.begin()->second;
        (void)guard(nullptr, [&] { finish(question, {{}, "the server stops"}); });
    }
}

}  // namespace tenon
