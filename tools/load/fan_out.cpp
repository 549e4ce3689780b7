// SPDX-License-Identifier: Apache-2.0
#include "tools/load/fan_out.hpp"

#include "sdk/net/ws_codec.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <stdexcept>
#include <sys/epoll.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace tenon::load {

namespace {

constexpr std::size_t k_message_max = 4'194'304;
constexpr std::int64_t k_turn_ns = 50'000'000;
constexpr std::int64_t k_second_ns = 1'000'000'000;
constexpr std::int64_t k_microseconds_from = 100'000'000'000'000;  // as milliseconds: year 5138

template <class Clock>
std::int64_t clock_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
        .count();
}

std::int64_t steady_ns() {
    return clock_ns<std::chrono::steady_clock>();
}

std::int64_t thread_cpu_ns() {
    timespec time{};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * k_second_ns + time.tv_nsec;
}

struct Subscriber {
    int fd = -1;
    bool open = false;
    std::string head;  // the handshake's answer, until it is whole
    net::WsFrameReader reader{k_message_max};
};

class FanOut {
public:
    FanOut(const FanOutOptions& options, const Generator::Report& report)
        : options_{options},
          report_{report},
          epoll_{epoll_create1(EPOLL_CLOEXEC)},
          subscribers_(options.subscribers) {
        need_descriptors(options.subscribers);
    }

    ~FanOut() {
        for (const Subscriber& one : subscribers_) {
            if (one.fd >= 0) {
                (void)::close(one.fd);
            }
        }
        (void)::close(epoll_);
    }

    FanOut(const FanOut&) = delete;
    FanOut& operator=(const FanOut&) = delete;

    Run run() {
        subscribe();
        run_ = {};
        run_.operations.resize(2);
        run_.window_ns = options_.window_ns;
        const std::int64_t measured = options_.duration_ns - options_.warmup_ns;
        run_.windows.resize(
            static_cast<std::size_t>((measured + options_.window_ns - 1) / options_.window_ns)
        );
        const std::int64_t cpu_ns = thread_cpu_ns();
        start_ns_ = reported_ns_ = now_ns_ = steady_ns();
        while (now_ns_ - start_ns_ < options_.duration_ns) {
            turn(start_ns_ + options_.duration_ns - now_ns_);
            tell();
        }
        run_.measured_ns = measured;
        // Without a pause: what waited in the sockets meanwhile is not the server's delay.
        run_.exhausted = (thread_cpu_ns() - cpu_ns) * 10 > (now_ns_ - start_ns_) * 9;
        return std::move(run_);
    }

private:
    void subscribe() {
        now_ns_ = steady_ns();
        const std::int64_t deadline_ns = now_ns_ + options_.timeout_ns;
        std::size_t begun = 0;
        while (opened_ < subscribers_.size()) {
            while (begun < subscribers_.size() && begun < opened_ + 64) {
                begin(begun++);
            }
            turn(k_turn_ns);
            if (!run_.trouble.empty()) {
                throw std::runtime_error{options_.address.text + ": " + run_.trouble};
            }
            if (now_ns_ > deadline_ns) {
                throw std::runtime_error{
                    options_.address.text + ": " + std::to_string(opened_) + " of " +
                    std::to_string(subscribers_.size()) + " subscribers could connect in time"};
            }
        }
    }

    void begin(std::size_t index) {
        Subscriber& one = subscribers_[index];
        one.fd = begin_connect(options_.address);
        epoll_event event{};
        event.events = EPOLLOUT;
        event.data.u32 = static_cast<std::uint32_t>(index);
        (void)epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event);
    }

    void turn(std::int64_t most_ns) {
        std::array<epoll_event, 64> events{};
        const timespec wait{0, std::clamp<std::int64_t>(most_ns, 0, k_turn_ns)};
        const int ready =
            epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &wait, nullptr);
        now_ns_ = steady_ns();
        for (int i = 0; i < ready; ++i) {
            const epoll_event& event = events.at(static_cast<std::size_t>(i));
            Subscriber& one = subscribers_[event.data.u32];
            if ((event.events & EPOLLOUT) != 0) {
                shake_hands(one, event.data.u32);
            } else {
                read(one);
            }
        }
    }

    // Connected: the request fits into the socket's empty buffer.
    void shake_hands(Subscriber& one, std::uint32_t index) {
        if (const int error = connect_error(one.fd); error != 0) {
            lose(one, std::strerror(error));
            return;
        }
        const std::string request = "GET " + options_.target +
                                    " HTTP/1.1\r\nHost: " + options_.address.text +
                                    "\r\nUser-Agent: tenon-load\r\nUpgrade: websocket\r\n"
                                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                    "Sec-WebSocket-Key: " +
                                    net::random_ws_key() + "\r\n\r\n";
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u32 = index;
        (void)epoll_ctl(epoll_, EPOLL_CTL_MOD, one.fd, &event);
        if (::send(one.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size())) {
            lose(one, "the handshake could not be sent");
        }
    }

    void read(Subscriber& one) {
        const ssize_t n = ::recv(one.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            lose(
                one, n == 0 ? "the server closed a subscriber's connection" : std::strerror(errno)
            );
            return;
        }
        std::string_view bytes{buffer_.data(), static_cast<std::size_t>(n)};
        if (!one.open) {
            one.head.append(bytes);
            const auto end = one.head.find("\r\n\r\n");
            if (end == std::string::npos) {
                return;
            }
            if (!one.head.starts_with("HTTP/1.1 101")) {
                lose(
                    one, "the handshake was answered " + one.head.substr(0, one.head.find("\r\n"))
                );
                return;
            }
            one.open = true;
            ++opened_;
            one.reader.feed(std::string_view{one.head}.substr(end + 4));
            one.head.clear();
        } else {
            one.reader.feed(bytes);
        }
        read_frames(one);
    }

    void read_frames(Subscriber& one) {
        using Event = net::WsFrameReader::Event;
        for (;;) {
            const net::WsFrameReader::Item item = one.reader.next();
            switch (item.event) {
                case Event::need_more:
                    return;
                case Event::text:
                case Event::binary:
                    message(item.payload);
                    break;
                case Event::ping:
                    pong(one, item.payload);
                    break;
                case Event::pong:
                    break;
                case Event::close:
                    lose(
                        one,
                        "closed with code " + std::to_string(item.code) +
                            (item.payload.empty() ? "" : ": " + std::string{item.payload})
                    );
                    return;
                case Event::failed:
                    lose(one, std::string{item.payload});
                    return;
            }
        }
    }

    static void pong(const Subscriber& one, std::string_view payload) {
        std::string frame;
        net::append_ws_frame(frame, net::WsOpcode::pong, payload, net::random_ws_mask());
        // Small, and a server that reads nothing is about to be noticed anyhow.
        (void)::send(one.fd, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    void message(std::string_view text) {
        const std::int64_t now_ns = steady_ns();
        ++progress_.answered;
        if (start_ns_ == 0 || now_ns - start_ns_ < options_.warmup_ns) {
            return;
        }
        ++run_.planned;
        const auto [known, first] =
            first_seen_.try_emplace(std::hash<std::string_view>{}(text), now_ns);
        if (!first) {
            run_.operations[1].latency.record(now_ns - known->second);
        }
        const std::int64_t event_ns = event_time_ns(text);
        if (event_ns == 0) {
            return;
        }
        const std::int64_t delay_ns = clock_ns<std::chrono::system_clock>() - event_ns;
        const auto window = static_cast<std::size_t>(
            (now_ns - start_ns_ - options_.warmup_ns) / options_.window_ns
        );
        recent_.record(delay_ns);
        run_.all.latency.record(delay_ns);
        run_.operations[0].latency.record(delay_ns);
        if (window < run_.windows.size()) {
            run_.windows[window].latency.record(delay_ns);
        }
    }

    void lose(Subscriber& one, const std::string& why) {
        if (run_.trouble.empty()) {
            run_.trouble = why;
        }
        ++run_.all.errors;
        ++progress_.errors;
        (void)::close(one.fd);
        one.fd = -1;
    }

    void tell() {
        if (now_ns_ - reported_ns_ < k_second_ns) {
            return;
        }
        reported_ns_ = now_ns_;
        // Whoever has not got it by then counts no more in the spread; the delivery has it all the
        // same.
        std::erase_if(first_seen_, [&](const auto& entry) {
            return now_ns_ - entry.second > 5 * k_second_ns;
        });
        if (report_) {
            progress_.at_ns = now_ns_ - start_ns_;
            progress_.p50_ns = recent_.quantile_ns(0.5);
            progress_.p99_ns = recent_.quantile_ns(0.99);
            report_(progress_);
        }
        recent_ = {};
    }

    const FanOutOptions& options_;
    const Generator::Report& report_;
    int epoll_;
    std::vector<Subscriber> subscribers_;
    std::array<char, 262'144> buffer_{};
    std::unordered_map<std::size_t, std::int64_t> first_seen_;  // by the message's hash
    std::size_t opened_ = 0;
    Run run_;
    Progress progress_;
    Histogram recent_;
    std::int64_t start_ns_ = 0, now_ns_ = 0, reported_ns_ = 0;
};

}  // namespace

std::int64_t event_time_ns(std::string_view message) noexcept {
    constexpr std::string_view k_field = "\"E\":";
    const auto at = message.find(k_field);
    if (at == std::string_view::npos) {
        return 0;
    }
    std::int64_t time = 0;
    const char* const from = message.data() + at + k_field.size();
    const auto [end, ec] = std::from_chars(from, message.data() + message.size(), time);
    if (ec != std::errc{} || time <= 0 || time > INT64_MAX / 1'000) {
        return 0;
    }
    return time >= k_microseconds_from ? time * 1'000 : time * 1'000'000;
}

Run fan_out(const FanOutOptions& options, const Generator::Report& report) {
    return std::make_unique<FanOut>(options, report)->run();
}

}  // namespace tenon::load
