// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/signer.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

using tenon::binance_venue::Signer;

TEST_CASE("HMAC signatures are those of the exchange's documents", "[binance][T4]") {
    const Signer signer{"key", "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"};
    CHECK(
        signer.sign("symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
                    "&recvWindow=5000&timestamp=1499827319559"
        ) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    );
    CHECK(signer.api_key() == "key");
}

TEST_CASE("Ed25519 signatures are those of RFC 8032, ready for a query", "[binance][T4]") {
    // RFC 8032, 7.1, test 2: the secret 4ccd…a6fb as PKCS#8, the message 0x72.
    const Signer signer{
        "key",
        "-----BEGIN PRIVATE KEY-----\n"
        "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
        "-----END PRIVATE KEY-----\n"};
    const std::string plain = signer.sign_plain("r");
    CHECK(
        plain ==
        "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA=="
    );
    const std::string query = signer.sign("r");
    CHECK(query.find_first_of("+/=") == std::string::npos);
    CHECK(query.ends_with("%3D%3D"));
    CHECK(signer.sign_plain("r") == plain);
    CHECK(signer.sign_plain("s") != plain);
}

TEST_CASE("a key that cannot sign is refused without showing it", "[binance][T4]") {
    CHECK_THROWS_AS((Signer{"", "secret"}), tenon::Error);
    CHECK_THROWS_AS((Signer{"key", ""}), tenon::Error);
    CHECK_THROWS_AS((Signer{"key\r\nX: y", "secret"}), tenon::Error);
    try {
        const Signer signer{"key", "-----BEGIN PRIVATE KEY-----\nnonsense\n"};
        FAIL("it was taken");
    } catch (const tenon::Error& e) {
        CHECK(std::string{e.what()}.find("nonsense") == std::string::npos);
    }
}
