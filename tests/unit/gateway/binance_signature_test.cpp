// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/binance/signature.hpp"
#include "plugins/gateway/binance/socket_message.hpp"
#include "tests/unit/gateway/binance_fakes.hpp"

#include <catch2/catch.hpp>

#include <openssl/evp.h>
#include <openssl/hmac.h>

using namespace tenon::binance;
using tenon::test::FakeBinanceWorld;

namespace {

[[nodiscard]] std::string signed_text(std::string_view query, std::string_view body) {
    const SignedParts parts = signed_parts(query, body);
    std::string text;
    for (std::uint32_t i = 0; i < parts.count; ++i) {
        text.append(tenon::view(parts.parts[i]));
    }
    return text;
}

[[nodiscard]] std::string hmac_hex(std::string_view secret, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    HMAC(
        EVP_sha256(),
        secret.data(),
        static_cast<int>(secret.size()),
        reinterpret_cast<const unsigned char*>(text.data()),
        text.size(),
        digest.data(),
        &size
    );
    std::string hex;
    for (unsigned int i = 0; i < size; ++i) {
        hex.push_back("0123456789abcdef"[digest[i] >> 4U]);
        hex.push_back("0123456789abcdef"[digest[i] & 15U]);
    }
    return hex;
}

struct Fixture : FakeBinanceWorld {
    Fixture() : api{services(), {}, builtin_weights()} {}

    [[nodiscard]] std::string account(
        const std::string& query,
        std::vector<std::pair<std::string, std::string>> headers = {{"x-mbx-apikey", "reader"}}
    ) {
        const auto handle = send(api, "GET", "/api/v3/account?" + query, {}, std::move(headers));
        status = answers[handle].status;
        return answers[handle].body;
    }

    [[nodiscard]] std::string at(std::int64_t offset_us, std::string window = {}) {
        const std::int64_t us = now_ns / 1'000 + offset_us;
        return account(
            "timestamp=" + std::to_string(us) + (window.empty() ? "" : "&recvWindow=" + window) +
            "&signature=good"
        );
    }

    Api api;
    std::uint32_t status = 0;
};

constexpr std::string_view k_ahead =
    R"({"code":-1021,"msg":"Timestamp for this request was 1000ms ahead of the server's time."})";
constexpr std::string_view k_outside =
    R"({"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."})";

}  // namespace

TEST_CASE("the published example signs the same bytes wherever they stand", "[binance][T6]") {
    // rest-api.md, "SIGNED endpoint examples for POST /api/v3/order".
    const std::string secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    const std::string head = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC";
    const std::string tail = "quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559";
    const std::string expected = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
    const std::string signature = "&signature=" + expected;
    CHECK(hmac_hex(secret, signed_text(head + "&" + tail + signature, "")) == expected);
    CHECK(hmac_hex(secret, signed_text("", head + "&" + tail + signature)) == expected);
    // Query and body are joined with nothing between them (the documents' third example).
    CHECK(signed_text(head, tail + signature) == head + tail);
    CHECK(
        hmac_hex(secret, signed_text(head, tail + signature)) ==
        "0fd168b8ddb4876a0358a8d14d0c9f3da0e9b20c5d52b2a00fcf7d1c602f9a77"
    );
}

TEST_CASE("only the signature is taken out, wherever it stands", "[binance][T6]") {
    CHECK(signed_text("signature=x&a=1&b=2", "") == "a=1&b=2");
    CHECK(signed_text("a=1&signature=x&b=2", "") == "a=1&b=2");
    CHECK(signed_text("a=1&b=2&signature=x", "") == "a=1&b=2");
    CHECK(signed_text("signature=x", "") == "");
    CHECK(signed_text("a=%20b&signature=x", "c=+d") == "a=%20bc=+d");
    CHECK(signed_text("mysignature=x&a=1", "") == "mysignature=x&a=1");
    CHECK(signed_text("a=1&a=1&&b", "") == "a=1&a=1&&b");
}

TEST_CASE("a request is taken in its window and in no other", "[binance][T6]") {
    Fixture f;
    CHECK(f.at(0).find("makerCommission") != std::string::npos);
    CHECK(f.at(999'999).find("makerCommission") != std::string::npos);
    CHECK(f.at(1'000'000) == k_ahead);
    CHECK(f.status == 400);
    CHECK(f.at(-5'000'000).find("makerCommission") != std::string::npos);
    CHECK(f.at(-5'000'001) == k_outside);
    CHECK(f.at(-60'000'000, "60000").find("makerCommission") != std::string::npos);
    CHECK(f.at(-60'000'001, "60000") == k_outside);
    CHECK(f.at(-1'500, "1.5").find("makerCommission") != std::string::npos);
    CHECK(f.at(-1'501, "1.5") == k_outside);
    CHECK(f.at(0, "60001") == R"({"code":-1131,"msg":"recvWindow must be less than 60000."})");
    CHECK(
        f.at(0, "1.0001") ==
        R"({"code":-1111,"msg":"Parameter 'recvWindow' has too much precision."})"
    );
    CHECK(f.at(0, "abc").find(R"("code":-1100)") != std::string::npos);
    CHECK(f.at(0, "-1").find(R"("code":-1100)") != std::string::npos);
    const std::string ms = std::to_string(f.now_ns / 1'000'000);
    CHECK(
        f.account("timestamp=" + ms + "&signature=good").find("makerCommission") !=
        std::string::npos
    );
}

TEST_CASE("keys, signatures and permissions fail with their own codes", "[binance][T6]") {
    Fixture f;
    const std::string good =
        "timestamp=" + std::to_string(f.now_ns / 1'000'000) + "&signature=good";
    CHECK(f.account(good, {}) == R"({"code":-2014,"msg":"API-key format invalid."})");
    CHECK(f.status == 401);
    CHECK(
        f.account(good, {{"x-mbx-apikey", "no way"}}) ==
        R"({"code":-2014,"msg":"API-key format invalid."})"
    );
    CHECK(
        f.account(good, {{"x-mbx-apikey", "nobody"}}) ==
        R"({"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."})"
    );
    CHECK(f.status == 401);
    CHECK(
        f.account("timestamp=" + std::to_string(f.now_ns / 1'000'000) + "&signature=bad") ==
        R"({"code":-1022,"msg":"Signature for this request is not valid."})"
    );
    CHECK(f.status == 400);
    CHECK(
        f.account("signature=good") ==
        R"({"code":-1102,"msg":"Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed."})"
    );
    CHECK(
        f.account("timestamp=1") ==
        R"({"code":-1102,"msg":"Mandatory parameter 'signature' was not sent, was empty/null, or malformed."})"
    );
    CHECK(f.account("timestamp=x&signature=good").find(R"("code":-1100)") != std::string::npos);
    const auto order = f.send(
        f.api,
        "DELETE",
        "/api/v3/order?symbol=BTCUSDT&orderId=1&" + good,
        {},
        {{"x-mbx-apikey", "reader"}}
    );
    CHECK(
        f.answers[order].body ==
        R"({"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."})"
    );
}

TEST_CASE("a bound key is refused from another address, signed or not", "[binance][K14]") {
    Fixture f;
    const std::string good =
        "timestamp=" + std::to_string(f.now_ns / 1'000'000) + "&signature=good";
    const auto ask = [&](const char* method, const std::string& target, const char* remote) {
        return f.answers[f.send(f.api, method, target, {}, {{"x-mbx-apikey", "bound"}}, remote)];
    };
    for (const auto& [method, target] :
         {std::pair{"GET", "/api/v3/rateLimit/order?" + good},
          std::pair{"POST", std::string{"/api/v3/userDataStream"}}}) {
        INFO(target);
        CHECK(ask(method, target, "192.0.2.7").status == 200);
        const auto refused = ask(method, target, "192.0.2.8");
        CHECK(refused.status == 401);
        CHECK(
            refused.body ==
            R"({"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."})"
        );
    }
    // A wrong signature is told first: who does not have the secret learns nothing of addresses.
    CHECK(
        ask("GET",
            "/api/v3/rateLimit/order?timestamp=" + std::to_string(f.now_ns / 1'000'000) +
                "&signature=bad",
            "192.0.2.8")
            .body == R"({"code":-1022,"msg":"Signature for this request is not valid."})"
    );
}

TEST_CASE(
    "the documented request of the WebSocket API has its documented signature",
    "[binance][T6]"
) {
    const SocketMessage message = parse_socket_message(
        R"({"id":"4885f793-e5ad-4c3b-8f6c-55d891472b71","method":"order.place","params":{"symbol":"BTCUSDT","side":"SELL","type":"LIMIT","timeInForce":"GTC","quantity":"0.01000000","price":"52000.00","newOrderRespType":"ACK","recvWindow":100,"timestamp":1645423376532,"apiKey":"vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A","signature":"cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"}})"
    );
    REQUIRE_FALSE(message.error);
    CHECK(message.id == R"("4885f793-e5ad-4c3b-8f6c-55d891472b71")");
    CHECK(
        hmac_hex(
            "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j", message.payload()
        ) == message.find("signature")
    );
    CHECK(message.form(false).find("apiKey") == std::string::npos);
}
