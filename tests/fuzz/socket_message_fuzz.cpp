// SPDX-License-Identifier: Apache-2.0
// Messages of the WebSocket API.
//
// input := the text of a message
// Asserted: each outcome is a request or an error of Binance's; the id is JSON and so is the error;
// the parameters come through REST's form as they were sent.
#include "plugins/gateway/binance/params.hpp"
#include "plugins/gateway/binance/socket_message.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <tenon/json.hpp>

#include <algorithm>

using namespace tenon::binance;
using tenon::fuzz::expect;

namespace {

void expect_error(const SocketMessage& message) {
    std::string text;
    write_error(text, *message.error);
    expect(tenon::Json::parse(text).find("msg") != nullptr, "an error is JSON");
    expect(message.error->code() <= -1000, "an error has a code of Binance's");
}

void expect_form(const SocketMessage& message) {
    Params params;
    const std::string form = message.form(false);
    try {
        params.parse(form, {});
    } catch (const ApiError&) {
        return;  // too many, or an empty name
    }
    for (const auto& [name, value] : message.params) {
        const bool kept = name != "apiKey" && name != "returnRateLimits";
        const auto found = params.peek(name);
        expect(!kept || (found && *found == value), "a parameter comes through as it was sent");
    }
}

}  // namespace

tenon::fuzz::Corpus tenon::fuzz::corpus() {
    Corpus made;
    made.seeds = {
        R"({"id":1,"method":"ping"})",
        R"({"id":"a-b_C","method":"order.place","params":{"symbol":"BTCUSDT","side":"BUY",)"
        R"("type":"LIMIT","price":"97000.50","quantity":0.001,"timestamp":1732233600000,)"
        R"("apiKey":"k","signature":"s"}})",
        R"({"id":null,"method":"depth","params":{"symbols":["BTCUSDT","ETHUSDT"],"x":true}})",
        R"({"id":-9223372036854775808,"method":"time","params":null})",
        R"({"id":"\u0041","method":"\ud83d\ude00","params":{"\u0000":"a&b=c%d +"}})",
        R"({"id":1e5,"method":"x","params":{"a":{},"b":[1,[2,null]]}})",
        R"([{"id":1}])"};
    made.words = {
        "\"params\":{", "\"id\":", "\\u0000", "\\ud800", "[[[[[[[[", "{\"a\":", "null", "1e999"};
    return made;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const SocketMessage message = parse_socket_message(tenon::fuzz::text_of(data, size));
    (void)tenon::Json::parse(message.id);
    if (message.error) {
        expect_error(message);
        return 0;
    }
    expect(!message.method.empty() && message.method.size() <= 64, "a method has a name");
    expect(
        std::is_sorted(message.params.begin(), message.params.end()),
        "parameters are in the order that is signed"
    );
    expect(message.form(true).size() <= message.form(false).size(), "open is the shorter form");
    std::size_t signed_bytes = 0;
    for (const auto& [name, value] : message.params) {
        signed_bytes += name == "signature" ? 0 : name.size() + value.size() + 2;
    }
    expect(
        message.payload().size() + 1 == std::max<std::size_t>(signed_bytes, 1),
        "all that is sent is signed but the signature"
    );
    expect_form(message);
    return 0;
}
