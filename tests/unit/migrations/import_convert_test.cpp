// SPDX-License-Identifier: Apache-2.0
// Numbers and times of other systems, against what is known of them and against printf and gmtime.
#include "plugins/migrations/import/convert.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <random>

using namespace tenon::importer;
using Catch::Contains;
using tenon::decimal_text;

namespace {

SourceValue text(std::string bytes) {
    SourceValue value;
    value.kind = TENON_VALUE_TEXT;
    value.bytes = std::move(bytes);
    return value;
}

SourceValue real(double number) {
    SourceValue value;
    value.kind = TENON_VALUE_REAL;
    value.real = number;
    return value;
}

SourceValue integer(std::int64_t number) {
    SourceValue value;
    value.kind = TENON_VALUE_INT64;
    value.integer = number;
    return value;
}

std::int64_t units(const std::string& number, int scale, Rounds rounds = Rounds::never) {
    return units_of(decimal_of(number), scale, rounds);
}

}  // namespace

TEST_CASE("decimals are read exactly, with exponents too", "[import][S12]") {
    CHECK(units("1.5", 8) == 150'000'000);
    CHECK(units("-0.00000001", 8) == -1);
    CHECK(units("+1e-8", 8) == 1);
    CHECK(units("1E+3", 2) == 100'000);
    CHECK(units("12.500", 1) == 125);
    CHECK(units("92233720368547758.07", 2) == INT64_MAX);
    CHECK(units("-92233720368547758.08", 2) == INT64_MIN);
    CHECK(units("0e400", 18) == 0);
    for (const char* bad :
         {"",
          "-",
          ".",
          "1.",
          "1.e5",
          "1e",
          "1e+-5",
          "1e401",
          "0x10",
          "1,5",
          " 1",
          "1 ",
          "nan",
          "inf",
          "1.2.3",
          "12345678901234567890123456789012345678"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(units(bad, 8), BadRow);
    }
    CHECK_THROWS_WITH(units("92233720368547758.08", 2), Contains("beyond 64 bits"));
    CHECK_THROWS_WITH(units("1e300", 0), Contains("beyond 64 bits"));
}

TEST_CASE("digits beyond the scale are refused unless the mapping rounds", "[import][S12]") {
    CHECK_THROWS_WITH(units("0.125", 2), Contains("beyond the 2 decimals"));
    CHECK(units("0.125", 2, Rounds::half_even) == 12);
    CHECK(units("0.135", 2, Rounds::half_even) == 14);
    CHECK(units("-0.125", 2, Rounds::half_even) == -12);
    CHECK(units("-0.135", 2, Rounds::half_even) == -14);
    CHECK(units("0.1250000000000000000000000000000001", 2, Rounds::half_even) == 13);
    CHECK(units("0.139", 2, Rounds::down) == 13);
    CHECK(units("-0.139", 2, Rounds::down) == -13);
    CHECK(units("1e-300", 2, Rounds::half_even) == 0);
    CHECK_THROWS_AS(units("1e-300", 2), BadRow);
}

TEST_CASE("every number of a scale comes back from its decimal", "[import][S12]") {
    const auto seed = Catch::rngSeed();
    std::mt19937_64 random{seed};
    for (int i = 0; i < 20'000; ++i) {
        const auto value = static_cast<std::int64_t>(random() >> (random() % 64U));
        const int scale = static_cast<int>(random() % 19U);
        CAPTURE(seed, value, scale);
        REQUIRE(units(decimal_text(value, scale), scale) == value);
    }
}

TEST_CASE("a floating-point number is the decimal that it was written as", "[import][S12]") {
    CHECK(units_of(decimal_of(real(0.1), 0), 18, Rounds::never) == 100'000'000'000'000'000);
    CHECK(units_of(decimal_of(real(30000.1), 0), 2, Rounds::never) == 3'000'010);
    CHECK(units_of(decimal_of(real(1e-8), 0), 8, Rounds::never) == 1);
    CHECK_THROWS_AS(decimal_of(real(std::nan("")), 0), BadRow);
    CHECK_THROWS_AS(decimal_of(real(INFINITY), 0), BadRow);
    const auto seed = Catch::rngSeed();
    std::mt19937_64 random{seed};
    for (int i = 0; i < 20'000; ++i) {
        // Up to 15 digits a double keeps what it was given.
        const auto value = static_cast<std::int64_t>(random() % 1'000'000'000'000'000U);
        const int scale = static_cast<int>(random() % 9U);
        const std::string written = decimal_text(value, scale);
        CAPTURE(seed, written);
        REQUIRE(units_of(decimal_of(real(std::stod(written)), 0), scale, Rounds::never) == value);
    }
}

TEST_CASE("sums of decimals are exact", "[import][S12]") {
    const Decimal total = sum(sum(decimal_of("0.1"), decimal_of("0.2")), decimal_of("1e10"));
    CHECK(units_of(total, 1, Rounds::never) == 100'000'000'003);
    CHECK(units_of(sum(decimal_of("-5"), decimal_of("5.00")), 0, Rounds::never) == 0);
    CHECK_THROWS_AS(sum(decimal_of("1e300"), decimal_of("1e-300")), BadRow);
    CHECK(units_of(decimal_of(integer(1'234'567), 6), 6, Rounds::never) == 1'234'567);
    CHECK_THROWS_WITH(decimal_of(real(1.5), 6), Contains("source_scale"));
}

TEST_CASE("times are read in every unit, and ISO texts with their zone", "[import][S12]") {
    constexpr std::int64_t k_noon = 1'704'110'400'000'000'000;  // 2024-01-01 12:00 UTC
    CHECK(time_of(integer(1'704'110'400), TimeUnit::seconds, {}) == k_noon);
    CHECK(time_of(real(1'704'110'400.25), TimeUnit::seconds, {}) == k_noon + 250'000'000);
    CHECK(time_of(text("1704110400123"), TimeUnit::milliseconds, {}) == k_noon + 123'000'000);
    CHECK(time_of(integer(k_noon / 1000), TimeUnit::microseconds, {}) == k_noon);
    CHECK(time_of(integer(k_noon), TimeUnit::nanoseconds, {}) == k_noon);
    CHECK(time_of(text("2024-01-01T12:00:00Z"), TimeUnit::iso, {}) == k_noon);
    CHECK(time_of(text("2024-01-01 14:30:00.5+02:30"), TimeUnit::iso, {}) == k_noon + 500'000'000);
    CHECK(time_of(text("2024-01-01 10:00:00-02"), TimeUnit::iso, {}) == k_noon);
    CHECK(time_of(text("2024-01-01 12:00:00.000000"), TimeUnit::iso, 0) == k_noon);
    CHECK(time_of(text("2024-01-01 13:00"), TimeUnit::iso, 60) == k_noon);
    CHECK(time_of(text("2024-02-29"), TimeUnit::iso, 0) == 1'709'164'800'000'000'000);
    CHECK_THROWS_WITH(time_of(text("2024-01-01 12:00:00"), TimeUnit::iso, {}), Contains("zone"));
    for (const char* bad :
         {"",
          "2023-02-29",
          "2024-13-01",
          "2024-00-10",
          "2024-01-32",
          "1969-12-31",
          "2262-01-01",
          "2024-01-01T24:00",
          "2024-01-01T12:60",
          "2024-01-01T12:00:60",
          "2024-01-01T12:00:00.",
          "2024-01-01T12:00:00.1234567891",
          "2024-01-01T12:00:00+25",
          "2024-01-01T12:00:00 x",
          "24-01-01"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(time_of(text(bad), TimeUnit::iso, 0), BadRow);
    }
    CHECK_THROWS_AS(time_of(integer(-1), TimeUnit::seconds, {}), BadRow);
    CHECK_THROWS_AS(time_of(integer(INT64_MAX), TimeUnit::seconds, {}), BadRow);
}

TEST_CASE("ISO times agree with the C library over the whole range", "[import][S12]") {
    const auto seed = Catch::rngSeed();
    std::mt19937_64 random{seed};
    for (int i = 0; i < 5'000; ++i) {
        const auto seconds = static_cast<std::time_t>(random() % 9'214'646'400U);  // to 2261
        std::tm utc{};
        REQUIRE(::gmtime_r(&seconds, &utc) != nullptr);
        std::array<char, 32> written{};
        REQUIRE(std::strftime(written.data(), written.size(), "%Y-%m-%dT%H:%M:%SZ", &utc) != 0);
        CAPTURE(seed, written.data());
        REQUIRE(time_of(text(written.data()), TimeUnit::iso, {}) == seconds * 1'000'000'000);
    }
}

TEST_CASE("text that a database could not hold is refused", "[import][S12]") {
    CHECK(text_of(text("Straße '\";--")) == "Straße '\";--");
    CHECK(text_of(integer(-7)) == "-7");
    CHECK(text_of(real(0.5)) == "0.5");
    CHECK_THROWS_WITH(text_of(text(std::string{"a\0b", 3})), Contains("NUL"));
    CHECK_THROWS_WITH(text_of(text("\xff")), Contains("UTF-8"));
    SourceValue blob = text("x");
    blob.kind = TENON_VALUE_BLOB;
    CHECK_THROWS_WITH(text_of(blob), Contains("blob"));
}
