// SPDX-License-Identifier: Apache-2.0
#include "plugins/archive/csv.hpp"

#include <tenon/storage.hpp>

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

using tenon::value_of;
using tenon::archive::CsvReader;
using tenon::archive::Field;
using tenon::archive::field_of;
using tenon::archive::line_of;
using tenon::archive::Row;
using tenon::archive::RowHash;

namespace {

bool same(const Field& a, const Field& b) {
    return a.kind == b.kind && a.integer == b.integer && a.bytes == b.bytes &&
           ((std::isnan(a.real) && std::isnan(b.real)) ||
            std::memcmp(&a.real, &b.real, sizeof a.real) == 0);
}

Row read_one(const std::string& line) {
    CsvReader reader{line};
    Row row;
    REQUIRE(reader.next(row));
    Row none;
    REQUIRE_FALSE(reader.next(none));
    return row;
}

}  // namespace

TEST_CASE("a line holds each kind of value in a form of its own", "[archive][S13]") {
    const std::vector<tenon_value> values{
        tenon::null_value(),
        value_of(""),
        value_of("a \"b\", c\r\nd"),
        value_of(INT64_MIN),
        value_of(1.0),
        value_of(tenon::bytes(std::string_view{"\0\xff", 2})),
        value_of("7"),
        value_of("\\x00")};
    const std::string line = line_of(values);
    CHECK(
        line == ",\"\",\"a \"\"b\"\", c\r\nd\",-9223372036854775808,1.0,\\x00ff,\"7\",\"\\x00\"\r\n"
    );
    const Row row = read_one(line);
    REQUIRE(row.size() == values.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
        CHECK(same(row[i], field_of(values[i])));
    }
}

TEST_CASE("any row reads back as it was written", "[archive][S13]") {
    const auto seed = Catch::rngSeed();
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    const double reals[]{
        0.0,
        -0.0,
        1e300,
        5e-324,
        0.1,
        std::numeric_limits<double>::infinity(),
        -std::numeric_limits<double>::infinity(),
        std::nan(""),
        123456789.0,
        1e22};
    for (int round = 0; round < 2000; ++round) {
        std::vector<std::string> kept;
        kept.reserve(8);
        std::vector<tenon_value> values;
        for (std::uint64_t i = 0; i <= random() % 8; ++i) {
            std::string& bytes = kept.emplace_back();
            for (std::uint64_t n = random() % 12; n != 0; --n) {
                bytes.push_back("\",\r\n\\x a\0\xc3\xa4"[random() % 12]);
            }
            switch (random() % 5) {
                case 0:
                    values.push_back(tenon::null_value());
                    break;
                case 1:
                    values.push_back(value_of(static_cast<std::int64_t>(random())));
                    break;
                case 2:
                    values.push_back(value_of(reals[random() % std::size(reals)]));
                    break;
                case 3:
                    values.push_back(value_of(std::string_view{bytes}));
                    break;
                default:
                    values.push_back(value_of(tenon::bytes(std::string_view{bytes})));
            }
        }
        const std::string line = line_of(values);
        const Row row = read_one(line);
        REQUIRE(row.size() == values.size());
        std::vector<tenon_value> again;
        for (std::size_t i = 0; i < row.size(); ++i) {
            REQUIRE(same(row[i], field_of(values[i])));
            again.push_back(row[i].value());
        }
        REQUIRE(line_of(again) == line);
    }
}

TEST_CASE("what no writer wrote is refused with its place", "[archive][S13]") {
    for (const char* line :
         {"\"a\r\n",
          "\"a\"b\r\n",
          "1",
          "x\r\n",
          "\\x0\r\n",
          "\\xzz\r\n",
          "99999999999999999999\r\n",
          "1-2\r\n",
          "1\r2\r\n"}) {
        CsvReader reader{line};
        Row row;
        CHECK_THROWS_WITH(reader.next(row), Catch::Contains("at byte"));
    }
}

TEST_CASE("the order of rows does not change their hash, their number does", "[archive][S13]") {
    RowHash one, other, twice;
    for (const char* line : {"a", "b", "c"}) {
        one.add(line);
    }
    for (const char* line : {"c", "a", "b"}) {
        other.add(line);
        twice.add(line);
    }
    CHECK(one == other);
    CHECK(one.hex().size() == 64);
    twice.add("a");
    twice.add("a");
    CHECK_FALSE(one == twice);
}
