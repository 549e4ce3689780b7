// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/accounts/key_store.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <sodium.h>

using namespace tenon::accounts;
using tenon::bytes;

namespace {

constexpr std::string_view k_secret =
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
constexpr std::string_view k_payload =
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559";
constexpr std::string_view k_signature =
    "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";

std::string base64(const unsigned char* data, std::size_t size) {
    std::string out(sodium_base64_encoded_len(size, sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(out.data(), out.size(), data, size, sodium_base64_VARIANT_ORIGINAL);
    out.resize(out.size() - 1);
    return out;
}

}  // namespace

TEST_CASE("Binance's example signature fits, in parts and in capitals", "[accounts][T6]") {
    const HmacKey key{k_secret};
    const std::array<tenon_bytes, 2> parts{
        bytes(k_payload.substr(0, 40)), bytes(k_payload.substr(40))};
    CHECK(key.verify(parts, k_signature));
    std::string upper{k_signature};
    for (char& c : upper) {
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    CHECK(key.verify(parts, upper));
}

TEST_CASE("a signature with any digit changed, cut or added does not fit", "[accounts][T6]") {
    const HmacKey key{k_secret};
    const std::array<tenon_bytes, 1> parts{bytes(k_payload)};
    for (std::size_t i = 0; i < k_signature.size(); ++i) {
        std::string wrong{k_signature};
        wrong[i] = wrong[i] == '0' ? '1' : '0';
        CHECK_FALSE(key.verify(parts, wrong));
    }
    CHECK_FALSE(key.verify(parts, k_signature.substr(1)));
    CHECK_FALSE(key.verify(parts, std::string{k_signature} + "0"));
    CHECK_FALSE(key.verify(parts, ""));
    CHECK_FALSE(key.verify(parts, std::string(64, 'x')));
}

TEST_CASE("HMAC with a key longer than a block is RFC 4231's case 6", "[accounts][T6]") {
    const HmacKey key{std::string(131, '\xaa')};
    const std::array<tenon_bytes, 1> parts{
        bytes("Test Using Larger Than Block-Size Key - Hash Key First")};
    CHECK(key.verify(parts, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
}

TEST_CASE("an Ed25519 signature fits its message and no other", "[accounts][T6]") {
    REQUIRE(sodium_init() >= 0);
    std::array<unsigned char, crypto_sign_PUBLICKEYBYTES> public_key{};
    std::array<unsigned char, crypto_sign_SECRETKEYBYTES> secret_key{};
    crypto_sign_keypair(public_key.data(), secret_key.data());
    std::array<unsigned char, crypto_sign_BYTES> signature{};
    crypto_sign_detached(
        signature.data(),
        nullptr,
        reinterpret_cast<const unsigned char*>(k_payload.data()),
        k_payload.size(),
        secret_key.data()
    );
    const std::string parsed =
        parse_ed25519_public_key(base64(public_key.data(), public_key.size()));
    const Ed25519Key key{parsed};
    const std::string text = base64(signature.data(), signature.size());
    const std::array<tenon_bytes, 1> parts{bytes(k_payload)};
    const std::array<tenon_bytes, 1> others{bytes(k_payload.substr(1))};
    CHECK(key.verify(parts, text));
    CHECK_FALSE(key.verify(others, text));
    CHECK_FALSE(key.verify(parts, text.substr(4)));
    CHECK_FALSE(key.verify(parts, "not base64!"));
}

TEST_CASE("public keys are read as PEM and as base64, others are refused", "[accounts][K4]") {
    // RFC 8410, section 10.1
    const std::string pem =
        "-----BEGIN PUBLIC KEY-----\n"
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n";
    const std::string parsed = parse_ed25519_public_key(pem);
    CHECK(parsed.size() == 32);
    CHECK(parse_ed25519_public_key("Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=") == parsed);
    CHECK_THROWS_AS(parse_ed25519_public_key("AAAA"), tenon::Error);
    CHECK_THROWS_AS(parse_ed25519_public_key("-----BEGIN PUBLIC KEY-----"), tenon::Error);
    CHECK_THROWS_AS(parse_ed25519_public_key(""), tenon::Error);
}

TEST_CASE("the store checks keys in force and forgets revoked ones", "[accounts][T13]") {
    KeyStore store;
    tenon_identity identity{};
    identity.size = sizeof identity;
    const std::array<tenon_bytes, 1> parts{bytes(k_payload)};
    CHECK(store.verify("k", parts, k_signature, identity) == TENON_NOT_FOUND);
    store.put({"k", 17, TENON_KEY_HMAC_SHA256, TENON_PERMISSION_READ, k_secret});
    CHECK(store.verify("k", parts, k_signature, identity) == TENON_OK);
    CHECK(identity.account == 17);
    CHECK(identity.permissions == TENON_PERMISSION_READ);
    CHECK(store.verify("k", parts, std::string(64, '0'), identity) == TENON_DENIED);
    CHECK(store.identify("k", identity) == TENON_OK);
    store.remove("k");
    CHECK(store.identify("k", identity) == TENON_NOT_FOUND);
    CHECK_THROWS_AS(store.put({"k", 17, 9, 0, "x"}), tenon::Error);
    CHECK(store.size() == 0);
}

TEST_CASE("a bound key works from its addresses only", "[accounts][K14]") {
    KeyStore store;
    auto identity = tenon::sized<tenon_identity>();
    CHECK(store.allows("k", "10.0.0.1") == TENON_NOT_FOUND);
    store.put({"k", 17, TENON_KEY_HMAC_SHA256, TENON_PERMISSION_READ, k_secret});
    REQUIRE(store.identify("k", identity) == TENON_OK);
    CHECK(identity.flags == 0);
    CHECK(store.allows("k", "10.0.0.1") == TENON_OK);
    store.put({"k", 17, TENON_KEY_HMAC_SHA256, TENON_PERMISSION_READ, k_secret, "10.0.0.0/8,::1"});
    REQUIRE(store.identify("k", identity) == TENON_OK);
    CHECK(identity.flags == TENON_IDENTITY_BOUND);
    CHECK(store.allows("k", "10.255.0.1") == TENON_OK);
    CHECK(store.allows("k", "::ffff:10.0.0.1") == TENON_OK);
    CHECK(store.allows("k", "::1") == TENON_OK);
    CHECK(store.allows("k", "11.0.0.1") == TENON_DENIED);
    CHECK(store.allows("k", "") == TENON_DENIED);
    CHECK_THROWS_WITH(
        store.put({"k", 17, TENON_KEY_HMAC_SHA256, 1, k_secret, "10.0.0.0/8,x"}),
        Catch::Contains("\"x\": an IPv4 or IPv6 address expected")
    );

    // A gateway of ABI 1.9 has a shorter identity: nothing is written behind it.
    struct {
        tenon_identity head;
        char behind[8];
    } older{};

    older.head.size = offsetof(tenon_identity, flags);
    older.head.flags = 7;
    REQUIRE(store.identify("k", older.head) == TENON_OK);
    CHECK(older.head.account == 17);
    CHECK(older.head.flags == 7);
    CHECK(older.head.size == offsetof(tenon_identity, flags));
}

TEST_CASE("random keys have the asked length and only letters and digits", "[accounts][K4]") {
    const std::string key = random_alphanumeric(64);
    CHECK(key.size() == 64);
    CHECK(
        key.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
        std::string::npos
    );
    CHECK(key != random_alphanumeric(64));
}
