// SPDX-License-Identifier: Apache-2.0
// Load generator for signed REST orders: closed loop over keep-alive connections, one thread,
// epoll.
//
//   rest_orders_bench --address HOST:PORT --key KEY --secret SECRET [--symbol ETHBTC]
//       [--connections 64] [--seconds 5] [--rounds 5] [--sync-file FILE] [--ed25519
//       PRIVATE_KEY.pem]
//
// Buys and sells alternate at one price, so that orders match each other. Requests are signed
// before each round, so that the generator's own cost stays small. With --sync-file each round
// first times pwrite + fdatasync of 512 bytes on a preallocated file: the yardstick of one client's
// acknowledgement. With --ed25519 the key's secret is that private key. Prints a JSON line a round;
// exit 1 when any answer was not 200.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::string address, key, secret, symbol = "ETHBTC", price = "0.05000", quantity = "0.100";
    std::string sync_file, ed25519;
    std::size_t connections = 64;
    int seconds = 5, rounds = 5;
};

Options parse(int argc, char** argv) {
    Options options;
    std::map<std::string, std::string> given;
    for (int i = 1; i + 1 < argc; i += 2) {
        given[argv[i]] = argv[i + 1];
    }
    const auto text = [&](const char* name, std::string& out) {
        if (const auto it = given.find(name); it != given.end()) {
            out = it->second;
        }
    };
    text("--address", options.address);
    text("--key", options.key);
    text("--secret", options.secret);
    text("--symbol", options.symbol);
    text("--price", options.price);
    text("--quantity", options.quantity);
    text("--sync-file", options.sync_file);
    text("--ed25519", options.ed25519);
    if (given.contains("--connections")) {
        options.connections = std::stoul(given["--connections"]);
    }
    if (given.contains("--seconds")) {
        options.seconds = std::stoi(given["--seconds"]);
    }
    if (given.contains("--rounds")) {
        options.rounds = std::stoi(given["--rounds"]);
    }
    if (options.address.empty() || options.key.empty() ||
        options.secret.empty() == options.ed25519.empty()) {
        throw std::invalid_argument{"--address, --key and one of --secret, --ed25519 are needed"};
    }
    return options;
}

std::string hmac_hex(const std::string& secret, const std::string& text) {
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

// Base64 of the Ed25519 signature, percent-encoded for a form.
std::string ed25519_text(const std::string& file, const std::string& text) {
    std::FILE* in = std::fopen(file.c_str(), "re");
    EVP_PKEY* key = in == nullptr ? nullptr : PEM_read_PrivateKey(in, nullptr, nullptr, nullptr);
    if (in != nullptr) {
        std::fclose(in);
    }
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    std::array<unsigned char, 64> signature{};
    std::size_t length = signature.size();
    const bool signed_well = key != nullptr &&
                             EVP_DigestSignInit(context, nullptr, nullptr, nullptr, key) == 1 &&
                             EVP_DigestSign(
                                 context,
                                 signature.data(),
                                 &length,
                                 reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size()
                             ) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    if (!signed_well) {
        throw std::runtime_error{"cannot sign with " + file};
    }
    std::array<unsigned char, 96> base64{};
    const int chars = EVP_EncodeBlock(base64.data(), signature.data(), 64);
    std::string encoded;
    for (int i = 0; i < chars; ++i) {
        const char c = static_cast<char>(base64[static_cast<std::size_t>(i)]);
        encoded += c == '+' ? "%2B" : c == '/' ? "%2F" : c == '=' ? "%3D" : std::string(1, c);
    }
    return encoded;
}

std::string signed_order(const Options& options, bool buy) {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch()
    )
                         .count();
    std::string body = "symbol=" + options.symbol + "&side=" + (buy ? "BUY" : "SELL") +
                       "&type=LIMIT&timeInForce=GTC&quantity=" + options.quantity +
                       "&price=" + options.price +
                       "&newOrderRespType=ACK&recvWindow=60000&timestamp=" + std::to_string(now);
    body += "&signature=" + (options.ed25519.empty() ? hmac_hex(options.secret, body)
                                                     : ed25519_text(options.ed25519, body));
    return "POST /api/v3/order HTTP/1.1\r\nHost: localhost\r\nX-MBX-APIKEY: " + options.key +
           "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

int connect_to(const std::string& address) {
    const auto colon = address.rfind(':');
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
        throw std::runtime_error{"cannot connect to " + address};
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

struct Connection {
    int fd = -1;
    bool buy = false;
    std::string in;
    Clock::time_point sent;
};

// The status of a complete answer at the front of `in`, which is removed; 0 when there is none yet.
int take_answer(std::string& in) {
    const auto head = in.find("\r\n\r\n");
    if (head == std::string::npos) {
        return 0;
    }
    std::string lower = in.substr(0, head);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
        return static_cast<char>(std::tolower(c));
    });
    const auto at = lower.find("content-length:");
    const std::size_t length = at == std::string::npos ? 0 : std::stoul(lower.substr(at + 15));
    if (in.size() < head + 4 + length) {
        return 0;
    }
    const int status = std::stoi(in.substr(9, 3));
    in.erase(0, head + 4 + length);
    return status;
}

double percentile(std::vector<double>& sorted, double p) {
    if (sorted.empty()) {
        return 0;
    }
    return sorted[std::min(
        sorted.size() - 1, static_cast<std::size_t>(p * static_cast<double>(sorted.size()))
    )];
}

// Median of pwrite + fdatasync in microseconds.
double sync_median(const std::string& file) {
    const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    std::string zeros(std::size_t{4} << 20U, '\0');
    if (fd < 0 || pwrite(fd, zeros.data(), zeros.size(), 0) < 0 || fsync(fd) != 0) {
        throw std::runtime_error{"cannot write " + file};
    }
    std::vector<double> micros;
    for (off_t i = 0; i < 400; ++i) {
        const auto start = Clock::now();
        if (pwrite(fd, zeros.data(), 512, i * 512) != 512 || fdatasync(fd) != 0) {
            throw std::runtime_error{"cannot sync " + file};
        }
        micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    close(fd);
    unlink(file.c_str());
    std::sort(micros.begin(), micros.end());
    return percentile(micros, 0.5);
}

struct Round {
    std::vector<double> micros;
    std::map<int, std::uint64_t> statuses;
    double seconds = 0;
};

// Requests are signed ahead; each connection always has one in flight.
class Generator {
public:
    explicit Generator(const Options& options) : options_{options}, epoll_{epoll_create1(0)} {
        connections_.resize(options.connections);
        for (std::size_t i = 0; i < connections_.size(); ++i) {
            connections_[i].fd = connect_to(options.address);
            connections_[i].buy = i % 2 == 0;
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = i;
            epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[i].fd, &event);
        }
    }

    Round run() {
        for (bool buy : {false, true}) {
            requests_[buy] = signed_order(options_, buy);
        }
        Round round;
        const auto start = Clock::now();
        const auto end = start + std::chrono::seconds{options_.seconds};
        std::size_t in_flight = 0;
        for (Connection& connection : connections_) {
            send_next(connection);
            ++in_flight;
        }
        while (in_flight > 0) {
            std::array<epoll_event, 64> events{};
            const int count = epoll_wait(epoll_, events.data(), 64, 1000);
            for (int i = 0; i < count; ++i) {
                Connection& connection = connections_[events[static_cast<std::size_t>(i)].data.u64];
                if (!receive(connection, round)) {
                    continue;
                }
                if (Clock::now() < end) {
                    send_next(connection);
                } else {
                    --in_flight;
                }
            }
        }
        round.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        std::sort(round.micros.begin(), round.micros.end());
        return round;
    }

private:
    void send_next(Connection& connection) {
        const std::string& request = requests_[connection.buy];
        connection.buy = !connection.buy;
        connection.sent = Clock::now();
        if (write(connection.fd, request.data(), request.size()) !=
            static_cast<ssize_t>(request.size())) {
            throw std::runtime_error{"short write to the server"};
        }
    }

    static bool receive(Connection& connection, Round& round) {
        std::array<char, 16384> buffer{};
        const ssize_t n = read(connection.fd, buffer.data(), buffer.size());
        if (n <= 0) {
            throw std::runtime_error{"the server closed a connection"};
        }
        connection.in.append(buffer.data(), static_cast<std::size_t>(n));
        const std::string answer = connection.in;
        const int status = take_answer(connection.in);
        if (status == 0) {
            return false;
        }
        if (status != 200 && !round.statuses.contains(status)) {
            std::fprintf(stderr, "%s\n", answer.c_str());
        }
        ++round.statuses[status];
        round.micros.push_back(
            std::chrono::duration<double, std::micro>(Clock::now() - connection.sent).count()
        );
        return true;
    }

    const Options& options_;
    int epoll_;
    std::vector<Connection> connections_;
    std::array<std::string, 2> requests_;
};

int run(int argc, char** argv) {
    const Options options = parse(argc, argv);
    Generator generator{options};
    bool clean = true;
    for (int i = 0; i < options.rounds; ++i) {
        const double sync = options.sync_file.empty() ? 0 : sync_median(options.sync_file);
        Round round = generator.run();
        std::uint64_t total = 0;
        for (const auto& [status, count] : round.statuses) {
            total += count;
            clean = clean && status == 200;
        }
        const double p50 = percentile(round.micros, 0.5);
        std::printf(
            "{\"round\":%d,\"connections\":%zu,\"orders_per_second\":%.0f,\"p50_us\":%.0f,"
            "\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f",
            i + 1,
            options.connections,
            static_cast<double>(total) / round.seconds,
            p50,
            percentile(round.micros, 0.99),
            percentile(round.micros, 0.999),
            percentile(round.micros, 1.0)
        );
        if (sync > 0) {
            std::printf(",\"fdatasync_p50_us\":%.0f,\"p50_ratio\":%.2f", sync, p50 / sync);
        }
        std::printf("}\n");
        std::fflush(stdout);
    }
    return clean ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "rest_orders_bench: %s\n", e.what());
        return 2;
    }
}
