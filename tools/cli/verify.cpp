// SPDX-License-Identifier: Apache-2.0
#include "tools/cli/verify.hpp"

#include "tools/cli/http_client.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace tenon::cli {

namespace json = boost::json;

namespace {

class StepFailed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

std::string text(const json::value& value) {
    return value.is_string() ? std::string{value.get_string()} : json::serialize(value);
}

class Verifier {
public:
    Verifier(AdminClient& client, const VerifySettings& settings, const StepReport& report)
        : client_{&client}, settings_{&settings}, report_{&report} {}

    json::object run() {
        bool good = true;
        try {
            checks();
        } catch (const StepFailed&) {
            good = false;
        }
        good = tidy_up() && good;
        return {{"ok", good}, {"address", address_}, {"steps", std::move(steps_)}};
    }

private:
    // Runs one step; its text is what the operator reads.
    template <class Body>
    void step(const std::string& name, Body body) {
        const auto began = std::chrono::steady_clock::now();
        bool good = true;
        std::string detail;
        try {
            detail = body();
        } catch (const std::exception& e) {
            good = false;
            detail = e.what();
        }
        const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - began
        );
        json::object entry{
            {"step", name}, {"ok", good}, {"detail", detail}, {"elapsed_us", elapsed.count()}};
        (*report_)(entry);
        steps_.push_back(std::move(entry));
        if (!good) {
            throw StepFailed{detail};
        }
    }

    json::value get(const std::string& target) const {
        const HttpAnswer answer = http_request(address_, "GET", target);
        return checked(target, answer);
    }

    static json::value checked(const std::string& target, const HttpAnswer& answer) {
        if (answer.status != 200) {
            throw std::runtime_error{
                target + " answered " + std::to_string(answer.status) + " " +
                answer.body.substr(0, 300)};
        }
        json::error_code ec;
        json::value value = json::parse(answer.body, ec);
        return ec ? json::value(answer.body) : value;
    }

    json::value signed_request(std::string_view method, std::string query) const {
        query += "&timestamp=" + std::to_string(now_ms());
        query += "&signature=" + hmac_sha256_hex(secret_, query);
        return checked(
            "/api/v3/order",
            http_request(address_, method, "/api/v3/order?" + query, {"X-MBX-APIKEY: " + key_})
        );
    }

    std::int64_t now_ms() const {
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::steady_clock::now() - server_time_read_
        );
        return server_time_ms_ + passed.count();
    }

    void checks() {
        step("address", [this] { return find_address(); });
        step("plugins", [this] { return plugins(); });
        step("GET /healthz", [this] { return get("/healthz"), std::string{"200"}; });
        step("GET /readyz", [this] { return get("/readyz"), std::string{"200"}; });
        step("GET /api/v3/time", [this] {
            server_time_ms_ =
                get("/api/v3/time").as_object().at("serverTime").to_number<std::int64_t>();
            server_time_read_ = std::chrono::steady_clock::now();
            return std::to_string(server_time_ms_);
        });
        step("GET /api/v3/exchangeInfo", [this] { return choose_symbol(); });
        step("GET /api/v3/ticker/price", [this] {
            const json::value ticker = get("/api/v3/ticker/price?symbol=" + symbol_name_);
            price_ = text(ticker.as_object().at("price"));
            return symbol_name_ + " " + price_;
        });
        step("a temporary key", [this] {
            const json::value made = client_->run(
                "keys.create",
                {{"account", settings_->account},
                 {"permissions", json::array{"trade", "read"}},
                 {"type", "hmac"},
                 {"label", "tenon verify"}}
            );
            key_ = text(made.as_object().at("api_key"));
            secret_ = text(made.as_object().at("secret"));
            return "for account " + settings_->account;
        });
        step("place a limit order", [this] { return place(); });
        step("cancel it", [this] {
            const std::string order = std::exchange(order_, {});
            const json::value answer =
                signed_request("DELETE", "symbol=" + symbol_name_ + "&origClientOrderId=" + order);
            return text(answer.as_object().at("status"));
        });
    }

    std::string find_address() {
        address_ = settings_->address;
        if (address_.empty()) {
            std::ifstream file{settings_->data_dir / "listen"};
            (void)std::getline(file, address_);
        }
        if (address_.empty()) {
            throw std::runtime_error{"the server does not listen for HTTP"};
        }
        return address_;
    }

    std::string plugins() const {
        const json::value report = client_->run("status", {});
        std::string down;
        std::size_t started = 0;
        for (const json::value& plugin : report.as_object().at("plugins").as_array()) {
            const json::object& object = plugin.as_object();
            if (object.at("state") == "started") {
                ++started;
            } else {
                down += " " + text(object.at("name")) + " (" + text(object.at("error")) + ")";
            }
        }
        if (!down.empty()) {
            throw std::runtime_error{"not started:" + down};
        }
        return std::to_string(started) + " started";
    }

    std::string choose_symbol() {
        const json::value info = get("/api/v3/exchangeInfo");
        for (const json::value& symbol : info.as_object().at("symbols").as_array()) {
            const json::object& object = symbol.as_object();
            const bool wanted = settings_->symbol.empty()
                                    ? object.at("status") == "TRADING"
                                    : object.at("symbol") == json::value(settings_->symbol);
            if (wanted) {
                symbol_ = object;
                symbol_name_ = text(object.at("symbol"));
                return symbol_name_;
            }
        }
        throw std::runtime_error{"no symbol trades"};
    }

    std::string place() {
        const FarOrder far = far_order(symbol_, price_);
        order_ = "tenon-verify-" + std::to_string(now_ms());
        const json::value answer = signed_request(
            "POST",
            "symbol=" + symbol_name_ + "&side=BUY&type=LIMIT&timeInForce=GTC&price=" + far.price +
                "&quantity=" + far.quantity + "&newClientOrderId=" + order_
        );
        return far.quantity + " at " + far.price + ": " + text(answer.as_object().at("status"));
    }

    // Leaves nothing behind, also after a failure.
    bool tidy_up() {
        try {
            if (!order_.empty()) {
                (void)signed_request(
                    "DELETE", "symbol=" + symbol_name_ + "&origClientOrderId=" + order_
                );
            }
        } catch (const std::exception&) {
            // Most likely it was never placed; the failed step has said what is wrong.
            order_.clear();
        }
        if (key_.empty()) {
            return true;
        }
        try {
            step("revoke the key", [this] {
                (void)client_->run("keys.revoke", {{"api_key", key_}});
                return std::string{"revoked"};
            });
        } catch (const StepFailed&) {
            return false;
        }
        return true;
    }

    AdminClient* client_;
    const VerifySettings* settings_;
    const StepReport* report_;
    json::array steps_;
    std::string address_;
    json::object symbol_;
    std::string symbol_name_;
    std::string price_;
    std::string key_;
    std::string secret_;
    std::string order_;
    std::int64_t server_time_ms_ = 0;
    std::chrono::steady_clock::time_point server_time_read_;
};

}  // namespace

json::object verify(AdminClient& client, const VerifySettings& settings, const StepReport& report) {
    return Verifier{client, settings, report}.run();
}

}  // namespace tenon::cli
