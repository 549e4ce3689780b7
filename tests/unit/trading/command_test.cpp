// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/engine/core/command.hpp"

#include "tests/simulation/command_generator.hpp"

#include <tenon/plugin.hpp>

#include <catch2/catch.hpp>

using namespace tenon;
using trading::Command;
using trading::decode;
using trading::DecodeStatus;

TEST_CASE("a command's bytes are those of the specification", "[core][T5]") {
    Command command;
    command.sequence = 7;
    command.time_real_ns = 1;
    command.body = trading::KeyRevokeCommand{str("ab")};
    std::string bytes;
    trading::encode(command, bytes);
    const char expected[] =
        "\x01\x08"
        "\x07\0\0\0\0\0\0\0"
        "\x01\0\0\0\0\0\0\0"
        "\x02\0\0\0"
        "ab";
    CHECK(bytes == std::string(expected, sizeof expected - 1));
}

TEST_CASE("only what version 1 cannot say is written as version 2", "[core][T2][T5]") {
    Command command;
    trading::SubmitCommand submit;
    submit.order.size = sizeof submit.order;
    submit.order.type = TENON_ORDER_STOP_LOSS_LIMIT;
    submit.order.price = 5;
    command.body = submit;
    std::string plain;
    trading::encode(command, plain);
    CHECK(plain[0] == 1);
    submit.order.stop_price = 6;
    command.body = submit;
    std::string conditional;
    trading::encode(command, conditional);
    CHECK(conditional[0] == 2);
    CHECK(conditional.substr(1, plain.size() - 1) == plain.substr(1));
    Command read;
    REQUIRE(decode(conditional, read) == DecodeStatus::ok);
    CHECK(std::get<trading::SubmitCommand>(read.body).order.stop_price == 6);
    conditional[0] = 3;
    CHECK(decode(conditional, read) == DecodeStatus::bad_version);
}

TEST_CASE("a list is written as version 3, with both its orders", "[core][T2][T5]") {
    trading::SubmitListCommand list;
    list.contingency = TENON_CONTINGENCY_OCO;
    list.client_id.length = 1;
    list.client_id.text[0] = 'p';
    trading::ListOrders orders;
    orders[0].order.price = 7;
    orders[0].evidence = bytes(std::string_view{"seen"});
    orders[1].order.stop_price = 8;
    list.orders = &orders;
    trading::Command command{7, 1, list};
    std::string encoded;
    trading::encode(command, encoded);
    CHECK(encoded[0] == 3);
    trading::Command decoded;
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    const auto& again = std::get<trading::SubmitListCommand>(decoded.body);
    CHECK((*again.orders)[0].order.price == 7);
    CHECK(view((*again.orders)[0].evidence) == "seen");
    CHECK((*again.orders)[1].order.stop_price == 8);
    CHECK(again.client_id.text[0] == 'p');
    encoded[0] = 2;
    CHECK(trading::decode(encoded, decoded) == trading::DecodeStatus::bad_version);
    trading::CancelListCommand cancel;
    cancel.request.list_id = 9;
    encoded.clear();
    trading::encode({8, 1, cancel}, encoded);
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    CHECK(std::get<trading::CancelListCommand>(decoded.body).request.list_id == 9);
}

TEST_CASE("icebergs, trailing stops and prevention need version 4", "[core][T5]") {
    trading::SubmitCommand submit;
    submit.order.price = 7;
    std::string encoded;
    trading::encode({7, 1, submit}, encoded);
    CHECK(encoded[0] == 1);
    submit.order.stp_mode = TENON_STP_DECREMENT;
    submit.order.trailing_delta = 25;
    submit.order.display_quantity = 9;
    encoded.clear();
    trading::encode({7, 1, submit}, encoded);
    CHECK(encoded[0] == 4);
    trading::Command decoded;
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    const tenon_order_request& order = std::get<trading::SubmitCommand>(decoded.body).order;
    CHECK(order.stp_mode == TENON_STP_DECREMENT);
    CHECK(order.trailing_delta == 25);
    CHECK(order.display_quantity == 9);

    trading::SubmitListCommand list;
    trading::ListOrders orders;
    orders[1].order.trailing_delta = 30;
    list.orders = &orders;
    encoded.clear();
    trading::encode({8, 1, list}, encoded);
    CHECK(encoded[0] == 4);
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    CHECK(
        (*std::get<trading::SubmitListCommand>(decoded.body).orders)[1].order.trailing_delta == 30
    );
    // A list without them says nothing of them, whatever the one before said.
    orders[1].order.trailing_delta = 0;
    encoded.clear();
    trading::encode({9, 1, list}, encoded);
    CHECK(encoded[0] == 3);
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    CHECK(
        (*std::get<trading::SubmitListCommand>(decoded.body).orders)[1].order.trailing_delta == 0
    );

    trading::AmendCommand amend;
    amend.request.order_id = 5;
    amend.request.quantity = 6;
    encoded.clear();
    trading::encode({10, 1, amend}, encoded);
    CHECK(encoded[0] == 4);
    REQUIRE(trading::decode(encoded, decoded) == trading::DecodeStatus::ok);
    CHECK(std::get<trading::AmendCommand>(decoded.body).request.quantity == 6);
}

TEST_CASE("what is decoded encodes to the same bytes, whatever was cut or changed", "[core][T5]") {
    constexpr std::uint64_t k_seed = 7;
    test::CommandGenerator generator{k_seed, 2, 3};
    std::mt19937_64 random{k_seed};
    std::string bytes;
    std::string again;
    for (int i = 0; i < 20'000; ++i) {
        Command command;
        command.sequence = random();
        command.time_real_ns = static_cast<std::int64_t>(random());
        command.body = generator.next();
        REQUIRE(trading::well_formed(command));
        bytes.clear();
        trading::encode(command, bytes);
        Command read;
        REQUIRE(decode(bytes, read) == DecodeStatus::ok);
        again.clear();
        trading::encode(read, again);
        REQUIRE(again == bytes);

        REQUIRE(decode(bytes.substr(0, random() % bytes.size()), read) != DecodeStatus::ok);
        bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
        if (decode(bytes, read) == DecodeStatus::ok) {
            again.clear();
            trading::encode(read, again);
            REQUIRE(again == bytes);
        }
    }
}

TEST_CASE("what cannot be a command is told apart", "[core][T5]") {
    Command command;
    CHECK(decode("", command) == DecodeStatus::truncated);
    CHECK(decode(std::string("\x07", 1), command) == DecodeStatus::bad_version);
    std::string bytes(18, '\0');
    bytes[0] = 1;
    CHECK(decode(bytes, command) == DecodeStatus::unknown_kind);
    bytes[1] = 99;
    CHECK(decode(bytes, command) == DecodeStatus::unknown_kind);
    bytes[1] = 3;
    CHECK(decode(bytes, command) == DecodeStatus::truncated);
    CHECK(decode(bytes + std::string(12, '\0'), command) == DecodeStatus::ok);
    CHECK(decode(bytes + std::string(13, '\0'), command) == DecodeStatus::trailing);
}
