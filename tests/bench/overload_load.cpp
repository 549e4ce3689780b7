// SPDX-License-Identifier: Apache-2.0
// Open-loop load for the native API: signed GETs of one target leave at their planned times
// whatever the server does, and latency counts from the planned time. One thread, epoll.
//
//   overload_load --address HOST:PORT --key KEY --secret SECRET --target PATH[?QUERY]
//       --phases NAME:RATE:SECONDS[,…] [--connections 256]
//
// RATE requests a second; "x8" instead: 8 callers that ask again as soon as they are answered. What
// finds no free connection waits, and its waiting counts; what could not leave within its phase is
// "unsent". Prints a JSON line a phase; in phases without a break between them, so that a recovery
// can be seen: "bad_until_ms" is when the last request was planned that was not answered by 200 or
// took longer than --good-ms.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Ns = std::chrono::nanoseconds;

struct Phase {
    std::string name;
    double rate = 0;          // a second; 0: closed
    std::size_t callers = 0;  // closed
    double seconds = 0;
};

struct Result {
    std::vector<double> good_ms, refused_ms;
    std::uint64_t planned = 0, good = 0, refused = 0, failed = 0, unsent = 0, no_retry_after = 0;
    double bad_until_ms = 0;
};

struct Conn {
    int fd = -1;
    bool busy = false;
    Clock::time_point planned;
    std::string in;
};

[[nodiscard]] std::string hmac_hex(const std::string& secret, const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    HMAC(
        EVP_sha256(),
        secret.data(),
        static_cast<int>(secret.size()),
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        digest.data(),
        &length
    );
    static constexpr char k_digits[] = "0123456789abcdef";
    std::string hex;
    for (unsigned int i = 0; i < length; ++i) {
        hex.push_back(k_digits[digest[i] >> 4U]);
        hex.push_back(k_digits[digest[i] & 15U]);
    }
    return hex;
}

class Load {
public:
    explicit Load(std::map<std::string, std::string> options)
        : options_{std::move(options)}, epoll_{epoll_create1(EPOLL_CLOEXEC)} {
        const std::string& at = options_.at("--address");
        address_.sin_family = AF_INET;
        address_.sin_port =
            htons(static_cast<std::uint16_t>(std::stoi(at.substr(at.find(':') + 1))));
        inet_pton(AF_INET, at.substr(0, at.find(':')).c_str(), &address_.sin_addr);
        good_ms_ = options_.contains("--good-ms") ? std::stod(options_["--good-ms"]) : 1e9;
        const std::size_t count =
            options_.contains("--connections") ? std::stoul(options_["--connections"]) : 256;
        conns_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            connect_again(i);
        }
    }

    void run(const Phase& phase) {
        phase_ = &phase;
        result_ = {};
        begin_ = Clock::now();
        const auto end =
            begin_ + std::chrono::duration_cast<Ns>(std::chrono::duration<double>(phase.seconds));
        std::uint64_t next = 0;
        while (Clock::now() < end) {
            const auto now = Clock::now();
            if (phase.rate > 0) {
                for (auto at = planned(next); at <= now && at < end; at = planned(++next)) {
                    waiting_.push_back(at);
                    ++result_.planned;
                }
            } else {
                while (conns_.size() - free_.size() + waiting_.size() < phase.callers) {
                    waiting_.push_back(now);
                    ++result_.planned;
                }
            }
            sign(now);
            while (!waiting_.empty() && !free_.empty()) {
                send_one(waiting_.front());
                waiting_.pop_front();
            }
            poll(phase.rate > 0 && free_.size() == conns_.size() ? 1 : 0);
        }
        result_.unsent = waiting_.size();
        if (!waiting_.empty()) {
            note_bad(waiting_.back());
        }
        waiting_.clear();
        report();
    }

private:
    [[nodiscard]] Clock::time_point planned(std::uint64_t i) const {
        return begin_ + Ns{static_cast<std::int64_t>(static_cast<double>(i) * 1e9 / phase_->rate)};
    }

    void connect_again(std::size_t i) {
        Conn& conn = conns_[i];
        if (conn.fd >= 0) {
            close(conn.fd);
        }
        conn = {};
        conn.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(conn.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) {
            throw std::runtime_error{"the server does not accept"};
        }
        const int on = 1;
        (void)setsockopt(conn.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = i;
        (void)epoll_ctl(epoll_, EPOLL_CTL_ADD, conn.fd, &event);
        free_.push_back(i);
    }

    // One signature does for a while.
    void sign(Clock::time_point now) {
        if (!request_.empty() && now - signed_ < std::chrono::milliseconds{500}) {
            return;
        }
        signed_ = now;
        const std::string& target = options_.at("--target");
        const std::size_t mark = std::min(target.find('?'), target.size());
        const std::string path = target.substr(0, mark);
        const std::string query = mark == target.size() ? "" : target.substr(mark + 1);
        const std::string ms =
            std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                               std::chrono::system_clock::now().time_since_epoch()
            )
                               .count());
        request_ = "GET " + target +
                   " HTTP/1.1\r\nHost: tenon\r\nX-Tenon-Key: " + options_.at("--key") +
                   "\r\nX-Tenon-Timestamp: " + ms + "\r\nX-Tenon-Signature: " +
                   hmac_hex(options_.at("--secret"), ms + "\nGET\n" + path + "\n" + query + "\n") +
                   "\r\n\r\n";
    }

    void send_one(Clock::time_point at) {
        const std::size_t i = free_.back();
        free_.pop_back();
        conns_[i].busy = true;
        conns_[i].planned = at;
        if (send(conns_[i].fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request_.size())) {
            ended(i, 0, false);
        }
    }

    void poll(int wait_ms) {
        std::array<epoll_event, 256> events{};
        const int count = epoll_wait(epoll_, events.data(), events.size(), wait_ms);
        for (int e = 0; e < count; ++e) {
            receive(events.at(static_cast<std::size_t>(e)).data.u64);
        }
    }

    void receive(std::size_t i) {
        Conn& conn = conns_[i];
        const ssize_t size = recv(conn.fd, chunk_.data(), chunk_.size(), 0);
        if (size <= 0) {
            ended(i, 0, false);
            return;
        }
        conn.in.append(chunk_.data(), static_cast<std::size_t>(size));
        const std::size_t head = conn.in.find("\r\n\r\n");
        if (head == std::string::npos) {
            return;
        }
        const std::size_t at = conn.in.find("Content-Length: ");
        const std::size_t body = at < head ? std::stoul(conn.in.substr(at + 16)) : 0;
        if (conn.in.size() >= head + 4 + body) {
            const bool told = conn.in.substr(0, head).find("Retry-After:") != std::string::npos;
            ended(i, std::stoi(conn.in.substr(9, 3)), told);
        }
    }

    void ended(std::size_t i, int status, bool told_when) {
        Conn& conn = conns_[i];
        const std::chrono::duration<double, std::milli> took = Clock::now() - conn.planned;
        const bool was_busy = conn.busy;
        const auto at = conn.planned;
        if (status == 0) {
            free_.erase(std::remove(free_.begin(), free_.end(), i), free_.end());
            connect_again(i);
        } else {
            conn.busy = false;
            conn.in.clear();
            free_.push_back(i);
        }
        if (!was_busy || at < begin_) {
            return;  // of the phase before
        }
        if (status == 200) {
            ++result_.good;
            result_.good_ms.push_back(took.count());
        } else if (status == 503 || status == 429) {
            ++result_.refused;
            result_.no_retry_after += told_when ? 0 : 1;
            result_.refused_ms.push_back(took.count());
        } else {
            ++result_.failed;
        }
        if (status != 200 || took.count() > good_ms_) {
            note_bad(at);
        }
    }

    void note_bad(Clock::time_point at) {
        const std::chrono::duration<double, std::milli> after = at - begin_;
        result_.bad_until_ms = std::max(result_.bad_until_ms, after.count());
    }

    [[nodiscard]] static double quantile(std::vector<double>& all, double part) {
        if (all.empty()) {
            return 0;
        }
        const auto at = static_cast<std::size_t>(part * static_cast<double>(all.size() - 1));
        std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(at), all.end());
        return all[at];
    }

    void report() {
        const double seconds = phase_->seconds;
        std::printf(
            "{\"phase\":\"%s\",\"demand_per_s\":%.0f,\"good_per_s\":%.0f,\"good_p50_ms\":%.3f,"
            "\"good_p99_ms\":%.3f,\"refused_per_s\":%.0f,\"refused_p99_ms\":%.3f,"
            "\"no_retry_after\":%llu,\"failed\":%llu,\"unsent\":%llu,\"bad_until_ms\":%.0f}\n",
            phase_->name.c_str(),
            static_cast<double>(result_.planned) / seconds,
            static_cast<double>(result_.good) / seconds,
            quantile(result_.good_ms, 0.5),
            quantile(result_.good_ms, 0.99),
            static_cast<double>(result_.refused) / seconds,
            quantile(result_.refused_ms, 0.99),
            static_cast<unsigned long long>(result_.no_retry_after),
            static_cast<unsigned long long>(result_.failed),
            static_cast<unsigned long long>(result_.unsent),
            result_.bad_until_ms
        );
        (void)std::fflush(stdout);
    }

    std::map<std::string, std::string> options_;
    int epoll_;
    sockaddr_in address_{};
    double good_ms_ = 0;
    std::vector<Conn> conns_;
    std::vector<std::size_t> free_;
    std::deque<Clock::time_point> waiting_;
    std::string request_;
    Clock::time_point signed_, begin_;
    const Phase* phase_ = nullptr;
    Result result_;
    std::array<char, 262'144> chunk_{};
};

[[nodiscard]] std::vector<Phase> phases_of(const std::string& text) {
    std::vector<Phase> out;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string one = text.substr(at, end - at);
        const std::size_t first = one.find(':');
        const std::size_t second = one.find(':', first + 1);
        if (second == std::string::npos) {
            throw std::invalid_argument{"--phases: expected NAME:RATE:SECONDS"};
        }
        Phase phase{one.substr(0, first), 0, 0, std::stod(one.substr(second + 1))};
        const std::string rate = one.substr(first + 1, second - first - 1);
        if (rate.starts_with('x')) {
            phase.callers = std::stoul(rate.substr(1));
        } else {
            phase.rate = std::stod(rate);
        }
        out.push_back(phase);
        at = end + 1;
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        std::map<std::string, std::string> options;
        for (int i = 1; i + 1 < argc; i += 2) {
            options[argv[i]] = argv[i + 1];
        }
        const std::vector<Phase> phases = phases_of(options.at("--phases"));
        Load load{options};
        for (const Phase& phase : phases) {
            load.run(phase);
        }
        return 0;
    } catch (const std::exception& e) {
        (void)std::fprintf(stderr, "overload_load: %s\n", e.what());
        return 1;
    }
}
