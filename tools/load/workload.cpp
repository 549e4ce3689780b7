// SPDX-License-Identifier: Apache-2.0
#include "tools/load/workload.hpp"

#include <array>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <utility>

namespace tenon::load {

namespace {

std::string get_request(const std::string& host, const std::string& target) {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: tenon-load\r\n\r\n";
}

std::string hmac_hex(const std::string& secret, const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    HMAC(
        EVP_sha256(),
        secret.data(),
        static_cast<int>(secret.size()),
        static_cast<const unsigned char*>(static_cast<const void*>(text.data())),
        text.size(),
        digest.data(),
        &length
    );
    static constexpr std::string_view k_digits = "0123456789abcdef";
    std::string hex;
    for (unsigned int i = 0; i < length; ++i) {
        hex.push_back(k_digits[digest.at(i) >> 4U]);
        hex.push_back(k_digits[digest.at(i) & 15U]);
    }
    return hex;
}

bool good(int status) {
    return status >= 200 && status < 300;
}

class Gets final : public Workload {
public:
    Gets(const std::string& host, const std::vector<Target>& targets) {
        for (const Target& target : targets) {
            weights_.push_back(target.weight);
            operation_.push_back(operation(target.name));
            requests_.push_back(get_request(host, target.target));
        }
    }

    std::uint32_t write(std::uint32_t, std::uint32_t kind, std::string& out) override {
        out = requests_[kind];
        return operation_[kind];
    }

    bool answered(std::uint32_t, std::uint32_t, int status) override { return good(status); }

private:
    std::uint32_t operation(const std::string& name) {
        for (std::size_t i = 0; i < operations_.size(); ++i) {
            if (operations_[i] == name) {
                return static_cast<std::uint32_t>(i);
            }
        }
        operations_.push_back(name);
        return static_cast<std::uint32_t>(operations_.size() - 1);
    }

    std::vector<std::string> requests_;
    std::vector<std::uint32_t> operation_;
};

class Orders final : public Workload {
public:
    explicit Orders(OrderDesk desk)
        : desk_{std::move(desk)}, reads_{desk_.host, desk_.reads}, users_(desk_.users) {
        operations_ = {"place", "cancel"};
        operations_.insert(
            operations_.end(), reads_.operations().begin(), reads_.operations().end()
        );
        weights_ = {desk_.weight};
        weights_.insert(weights_.end(), reads_.weights().begin(), reads_.weights().end());
    }

    std::uint32_t write(std::uint32_t user, std::uint32_t kind, std::string& out) override {
        if (kind > 0) {
            return k_reads + reads_.write(user, kind - 1, out);
        }
        User& one = users_[user];
        const std::string stamp = "&timestamp=" + std::to_string(desk_.real_ms());
        if (one.open) {
            finish(
                out,
                user,
                "DELETE",
                "symbol=" + desk_.symbol + "&origClientOrderId=" + id(user, one.placed) +
                    "&recvWindow=60000" + stamp
            );
            return k_cancel;
        }
        ++one.placed;
        finish(
            out,
            user,
            "POST",
            "symbol=" + desk_.symbol +
                "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=" + desk_.quantity +
                "&price=" + desk_.price + "&newClientOrderId=" + id(user, one.placed) +
                "&newOrderRespType=ACK&recvWindow=60000" + stamp
        );
        return k_place;
    }

    bool answered(std::uint32_t user, std::uint32_t operation, int status) override {
        // Without an answer, or after a failure of the server, an order may rest: it is to be
        // cancelled, again if need be. One that the server does not know (400, 404) is gone; a
        // cancel that was limited is not.
        if (operation == k_place) {
            users_[user].open = good(status) || status == 0 || status >= 500;
        } else if (operation == k_cancel) {
            users_[user].open = !good(status) && status != 400 && status != 404;
        }
        return good(status);
    }

    [[nodiscard]] std::vector<Left> left() const override {
        std::vector<Left> out;
        for (std::uint32_t user = 0; user < users_.size(); ++user) {
            if (users_[user].open) {
                out.push_back({user, id(user, users_[user].placed)});
            }
        }
        return out;
    }

private:
    static constexpr std::uint32_t k_place = 0, k_cancel = 1, k_reads = 2;

    struct User {
        std::uint64_t placed = 0;
        bool open = false;
    };

    [[nodiscard]] std::string id(std::uint32_t user, std::uint64_t number) const {
        return desk_.prefix + "-" + std::to_string(user) + "-" + std::to_string(number);
    }

    // Signed; a cancel has its parameters in the query, as connectors send them.
    void finish(std::string& out, std::uint32_t user, std::string_view method, std::string body)
        const {
        const Credentials& key = desk_.keys[user % desk_.keys.size()];
        body += "&signature=" + hmac_hex(key.secret, body);
        const bool in_query = method == "DELETE";
        out.clear();
        out.append(method).append(" /api/v3/order");
        if (in_query) {
            out.append("?").append(body);
            body.clear();
        }
        out.append(" HTTP/1.1\r\nHost: ")
            .append(desk_.host)
            .append("\r\nUser-Agent: tenon-load\r\nX-MBX-APIKEY: ")
            .append(key.api_key);
        if (!in_query) {
            out.append("\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ")
                .append(std::to_string(body.size()));
        }
        out.append("\r\n\r\n").append(body);
    }

    OrderDesk desk_;
    Gets reads_;
    std::vector<User> users_;
};

}  // namespace

std::unique_ptr<Workload> make_gets(const std::string& host, const std::vector<Target>& targets) {
    return std::make_unique<Gets>(host, targets);
}

std::vector<Target> market_data_targets(const std::vector<std::string>& symbols) {
    std::vector<Target> targets;
    for (const std::string& symbol : symbols) {
        const std::string query = "?symbol=" + symbol;
        targets.push_back({"ticker/price", "/api/v3/ticker/price" + query, 30});
        targets.push_back({"ticker/bookTicker", "/api/v3/ticker/bookTicker" + query, 20});
        targets.push_back({"depth", "/api/v3/depth" + query + "&limit=20", 20});
        targets.push_back({"trades", "/api/v3/trades" + query + "&limit=50", 10});
        targets.push_back({"klines", "/api/v3/klines" + query + "&interval=1m&limit=60", 10});
        targets.push_back({"ticker/24hr", "/api/v3/ticker/24hr" + query, 10});
    }
    return targets;
}

std::unique_ptr<Workload> make_orders(OrderDesk desk) {
    return std::make_unique<Orders>(std::move(desk));
}

}  // namespace tenon::load
