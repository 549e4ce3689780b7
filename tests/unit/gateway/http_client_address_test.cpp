// SPDX-License-Identifier: Apache-2.0
#include "plugins/gateway/http/client_address.hpp"
#include "plugins/gateway/http/settings.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using tenon::AddressNetworks;
using tenon::http::client_address;

namespace {

AddressNetworks networks(const std::vector<std::string>& texts) {
    AddressNetworks out;
    for (const std::string& text : texts) {
        out.add(text);
    }
    return out;
}

// Of a request of `peer` with these X-Forwarded-For, in their order among other headers.
std::string client(const std::string& peer, const std::vector<std::string>& forwarded) {
    static const AddressNetworks trusted = networks({"127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"});
    std::vector<tenon_http_header> headers{{tenon::str("host"), tenon::str("x")}};
    for (const std::string& value : forwarded) {
        headers.push_back({tenon::str("x-forwarded-for"), tenon::str(value)});
        headers.push_back({tenon::str("forwarded"), tenon::str("for=192.0.2.99")});
    }
    return std::string{client_address(peer, headers, trusted)};
}

}  // namespace

TEST_CASE("a network has the addresses that begin as it does", "[http][K14]") {
    const AddressNetworks some =
        networks({"10.0.0.0/8", "192.0.2.7", "172.16.0.0/12", "2001:db8::/33", "fe80::1"});
    for (const char* const in :
         {"10.0.0.0",
          "10.255.255.255",
          "::ffff:10.1.2.3",
          "192.0.2.7",
          "172.31.255.255",
          "2001:db8:7fff::1",
          "2001:DB8::",
          "fe80::1%eth0"}) {
        INFO(in);
        CHECK(some.contains(in));
    }
    for (const char* const out :
         {"11.0.0.0",
          "9.255.255.255",
          "192.0.2.8",
          "172.32.0.0",
          "2001:db8:8000::",
          "fe80::2",
          "::10.0.0.1",
          "",
          "10.0.0",
          "10.0.0.1.2",
          "10.0.0.1 ",
          "localhost",
          "10.0.0.1/8"}) {
        INFO(out);
        CHECK_FALSE(some.contains(out));
    }
    CHECK(networks({"0.0.0.0/0"}).contains("192.0.2.1"));
    CHECK_FALSE(networks({"0.0.0.0/0"}).contains("2001:db8::1"));
    CHECK(networks({"::/0"}).contains("192.0.2.1"));
    CHECK(networks({"::ffff:10.0.0.0/104"}).contains("10.1.1.1"));
    CHECK_FALSE(AddressNetworks{}.contains("10.1.1.1"));
    CHECK_FALSE(some.contains("unix:"));
    CHECK(networks({"10.0.0.0/8", "unix:"}).contains("unix:"));
    CHECK_FALSE(networks({"unix:"}).contains("10.0.0.1"));
}

TEST_CASE("what is no network is named", "[http][K14]") {
    for (const char* const text :
         {"",
          "10",
          "10.0.0.0/",
          "10.0.0.0/33",
          "10.0.0.0/-1",
          "10.0.0.0/8x",
          "10.0.0.1/8",
          "2001:db8::/129",
          "2001:db8::1/64",
          "localhost",
          "10.0.0.0 /8",
          "fe80::1%eth0",
          "/8"}) {
        INFO(text);
        CHECK_THROWS_WITH(networks({text}), Catch::Contains("\"" + std::string{text} + "\": "));
    }
    CHECK_THROWS_WITH(
        tenon::http::parse_settings(R"({"trusted_proxies": ["::1", "10.0.0.1/8"]})"),
        "trusted_proxies: \"10.0.0.1/8\": the address has bits beyond the network's prefix"
    );
}

TEST_CASE("a request is of the last address that is no proxy's", "[http][K14]") {
    CHECK(client("127.0.0.1", {"192.0.2.1"}) == "192.0.2.1");
    CHECK(client("127.0.0.1", {"198.51.100.1, 192.0.2.1"}) == "192.0.2.1");
    CHECK(client("127.0.0.1", {"198.51.100.1,192.0.2.1 ,10.1.1.1, 10.2.2.2"}) == "192.0.2.1");
    CHECK(client("10.9.9.9", {"198.51.100.1", "192.0.2.1", "10.1.1.1"}) == "192.0.2.1");
    CHECK(client("::ffff:127.0.0.1", {"2001:db8:2::1"}) == "2001:db8:2::1");
    CHECK(client("2001:db8:1::5", {"[2001:db8:2::1]:4711"}) == "2001:db8:2::1");
    CHECK(client("127.0.0.1", {"192.0.2.1:4711"}) == "192.0.2.1");
    CHECK(client("127.0.0.1", {"[2001:db8:2::1]"}) == "2001:db8:2::1");
    // All are proxies: whoever asked first.
    CHECK(client("127.0.0.1", {"10.1.1.1, 10.2.2.2"}) == "10.1.1.1");
    CHECK(client("127.0.0.1", {}) == "127.0.0.1");
}

TEST_CASE("who is no proxy cannot say that he is somebody else", "[http][K14]") {
    CHECK(client("192.0.2.1", {"198.51.100.1"}) == "192.0.2.1");
    CHECK(client("127.0.0.1", {"10.1.1.1, 192.0.2.1"}) == "192.0.2.1");
    // The way is lost there.
    for (const char* const lost :
         {"unknown",
          "_hidden",
          "",
          " ",
          "192.0.2.1;",
          "[::1",
          "[",
          "]",
          ":",
          "1.2.3.4:5:6",
          "\"192.0.2.1\""}) {
        INFO(lost);
        CHECK(
            client("127.0.0.1", {std::string{"192.0.2.1, "} + lost + ", 10.1.1.1"}) == "10.1.1.1"
        );
    }
    CHECK(client("127.0.0.1", {""}) == "127.0.0.1");
    CHECK(client("127.0.0.1", {","}) == "127.0.0.1");
}
