// SPDX-License-Identifier: Apache-2.0
#include <tenon/decimal.hpp>

#include <catch2/catch.hpp>

#include <random>

using tenon::decimal_text;
using tenon::DecimalStatus;
using tenon::parse_decimal;

TEST_CASE("a decimal is read exactly at its scale", "[decimal][T1]") {
    CHECK(parse_decimal("0", 8).value == 0);
    CHECK(parse_decimal("1", 8).value == 100'000'000);
    CHECK(parse_decimal("0.00000001", 8).value == 1);
    CHECK(parse_decimal("-12.5", 2).value == -1250);
    CHECK(parse_decimal("0001.50000000000000000000000", 1).value == 15);
    CHECK(parse_decimal("9223372036854775807", 0).value == INT64_MAX);
    CHECK(parse_decimal("-9223372036854775808", 0).value == INT64_MIN);
    CHECK(parse_decimal("92233720368.54775807", 8).value == INT64_MAX);
}

TEST_CASE("what is wrong with a decimal is told apart", "[decimal][T1]") {
    for (const char* text :
         {"",
          "-",
          ".",
          "1.",
          ".5",
          "+1",
          "1e5",
          " 1",
          "1 ",
          "1.2.3",
          "0x10",
          "1,5",
          "--1",
          "99999999999999999999x",
          "1.-5",
          "NaN"}) {
        INFO(text);
        CHECK(parse_decimal(text, 8).status == DecimalStatus::malformed);
    }
    CHECK(parse_decimal("0.001", 2).status == DecimalStatus::precision);
    CHECK(parse_decimal("1.5", 0).status == DecimalStatus::precision);
    CHECK(parse_decimal("9223372036854775808", 0).status == DecimalStatus::overflow);
    CHECK(parse_decimal("-9223372036854775809", 0).status == DecimalStatus::overflow);
    CHECK(parse_decimal("92233720368.54775808", 8).status == DecimalStatus::overflow);
    CHECK(parse_decimal("99999999999999999999999999", 8).status == DecimalStatus::overflow);
}

TEST_CASE("a decimal is written with the decimals that were asked for", "[decimal][T6]") {
    CHECK(decimal_text(0, 8, 8) == "0.00000000");
    CHECK(decimal_text(6'543'21, 2, 8) == "6543.21000000");
    CHECK(decimal_text(1, 8) == "0.00000001");
    CHECK(decimal_text(150, 2) == "1.5");
    CHECK(decimal_text(100, 2) == "1");
    CHECK(decimal_text(100, 2, 1) == "1.0");
    CHECK(decimal_text(-5, 2) == "-0.05");
    CHECK(decimal_text(7, 0) == "7");
    CHECK(decimal_text(7, 0, 8) == "7.00000000");
    CHECK(decimal_text(INT64_MIN, 0) == "-9223372036854775808");
    CHECK(decimal_text(INT64_MIN, 18, 18).size() <= tenon::k_decimal_chars);
}

TEST_CASE("reading what was written gives the same value", "[decimal][T1]") {
    std::mt19937_64 random{20'261'122};
    for (int i = 0; i < 200'000; ++i) {
        const auto value = static_cast<std::int64_t>(random() >> (random() % 64));
        const int scale = static_cast<int>(random() % 19);
        const std::string text = decimal_text(value, scale, static_cast<int>(random() % 19));
        INFO(text << " scale " << scale);
        const auto parsed = parse_decimal(text, scale);
        REQUIRE(parsed.status == DecimalStatus::ok);
        REQUIRE(parsed.value == value);
    }
}

TEST_CASE("products and changes of scale say when they do not fit", "[decimal][T1]") {
    using tenon::Rounding;
    CHECK(tenon::multiply_divide(INT64_MAX, INT64_MAX, INT64_MAX, Rounding::down) == INT64_MAX);
    CHECK_FALSE(tenon::multiply_divide(INT64_MAX, 2, 1, Rounding::down));
    CHECK(tenon::multiply_divide(5, 1, 10, Rounding::half_up) == 1);
    CHECK(tenon::multiply_divide(4, 1, 10, Rounding::half_up) == 0);
    CHECK(tenon::multiply_divide(1, 1, 10, Rounding::up) == 1);
    CHECK(tenon::rescale(15, 1, 3) == 1500);
    CHECK(tenon::rescale(1500, 3, 1) == 15);
    CHECK_FALSE(tenon::rescale(1501, 3, 1));
    CHECK_FALSE(tenon::rescale(INT64_MAX, 0, 1));
    CHECK_FALSE(tenon::checked_add(INT64_MAX, 1));
    CHECK_FALSE(tenon::checked_multiply(INT64_MAX, 2));
}
