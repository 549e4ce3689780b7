// SPDX-License-Identifier: Apache-2.0
#include "plugins/venue/binance/signer.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string>
#include <unistd.h>

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
    CHECK_THROWS_AS((Signer{std::string{"key\0", 4}, "secret"}), tenon::Error);
    CHECK_THROWS_AS((Signer{"key\t", "secret"}), tenon::Error);
    CHECK_THROWS_AS((Signer{"k\xc3\xa9y", "secret"}), tenon::Error);
    try {
        const Signer signer{"key", "-----BEGIN PRIVATE KEY-----\nnonsense\n"};
        FAIL("it was taken");
    } catch (const tenon::Error& e) {
        CHECK(std::string{e.what()}.find("nonsense") == std::string::npos);
    }
}

TEST_CASE("nobody is asked for a key's pass phrase", "[binance][T4]") {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{
        EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), &EVP_PKEY_free};
    REQUIRE(key);
    const std::unique_ptr<BIO, decltype(&BIO_free)> out{BIO_new(BIO_s_mem()), &BIO_free};
    std::string phrase{"open sesame"};
    REQUIRE(
        PEM_write_bio_PKCS8PrivateKey(
            out.get(),
            key.get(),
            EVP_aes_128_cbc(),
            phrase.data(),
            static_cast<int>(phrase.size()),
            nullptr,
            nullptr
        ) == 1
    );
    std::string pem(4096, '\0');
    pem.resize(static_cast<std::size_t>(BIO_read(out.get(), pem.data(), 4096)));
    REQUIRE(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY"));

    // Whoever read the standard input would find the right one there.
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const std::string line = phrase + "\n";
    REQUIRE(::write(ends[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    ::close(ends[1]);
    const int input = ::dup(STDIN_FILENO);
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    CHECK_THROWS_AS((Signer{"key", pem}), tenon::Error);
    std::string left(64, '\0');
    CHECK(::read(STDIN_FILENO, left.data(), left.size()) == static_cast<ssize_t>(line.size()));
    if (input >= 0) {
        ::dup2(input, STDIN_FILENO);
        ::close(input);
    } else {
        ::close(STDIN_FILENO);
    }
}
