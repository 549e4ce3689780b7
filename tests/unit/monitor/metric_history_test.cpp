// SPDX-License-Identifier: Apache-2.0
#include "plugins/monitor/history/answer.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::history;
using Catch::Contains;
using tenon::test::TemporaryFolder;

namespace {

constexpr std::int64_t k_day_s = 86'400;
constexpr std::int64_t k_begin_s = 1'700'000'000 - 1'700'000'000 % k_day_s;

// A day of the real thing in few rows: 10 s for 100 s, 1 min for 10 min, 10 min for 4 h.
Rows::Shape small_shape(std::uint32_t columns = 4) {
    return {{{10, 10}, {60, 10}, {600, 24}}, columns};
}

struct Kept {
    explicit Kept(Rows::Shape chosen = small_shape()) : shape{std::move(chosen)} {
        CHECK(open().empty());
    }

    std::string open() {
        recorder = std::make_unique<Recorder>(shape);
        return recorder->open(folder.path(), 7);
    }

    [[nodiscard]] std::vector<Point> read(
        const std::string& series,
        std::size_t tier,
        std::int64_t from_s,
        std::int64_t now_s
    ) const {
        const std::int64_t step_s = shape.tiers[tier].step_s;
        return recorder->read({series}, {from_s, now_s + 1, step_s}, now_s).front();
    }

    TemporaryFolder folder;
    Rows::Shape shape;
    std::unique_ptr<Recorder> recorder;
};

// What a step must hold, from all its values one by one.
struct Oracle {
    void add(double value) {
        sum += static_cast<double>(static_cast<float>(value));
        min = count == 0 ? value : std::min(min, value);
        max = count == 0 ? value : std::max(max, value);
        ++count;
    }

    double sum = 0, min = 0, max = 0;
    std::uint32_t count = 0;
};

std::uint64_t seed() {
    const char* const text = std::getenv("TENON_TEST_SEED");
    return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
}

std::string read_text(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

void write_text(const std::filesystem::path& file, const std::string& text) {
    std::ofstream{file, std::ios::binary | std::ios::trunc} << text;
}

}  // namespace

TEST_CASE(
    "every step holds mean, least and most of its values, at random",
    "[monitor][history][M5]"
) {
    const std::uint64_t chosen = seed();
    INFO("TENON_TEST_SEED=" << chosen);
    std::mt19937_64 random{chosen};
    const auto upto = [&](std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>{0, most}(random);
    };
    Kept kept;
    const std::vector<std::string> names{"a", "b{x=\"1\"}", "b{x=\"2\"}"};
    // By tier, step and series.
    std::vector<std::map<std::int64_t, std::map<std::string, Oracle>>> oracle(3);
    std::int64_t now_s = k_begin_s + upto(10'000);
    for (int i = 0; i < 1'500; ++i) {
        now_s += upto(20) == 0 ? upto(900) : upto(12);
        if (upto(40) == 0) {
            CHECK(kept.open().empty());  // as after kill -9: nothing was said before
        }
        Recorder::Values values;
        for (const std::string& name : names) {
            if (upto(5) != 0) {
                values.emplace_back(name, std::ldexp(static_cast<double>(upto(1'000'000)), -10));
            }
        }
        kept.recorder->add(now_s, values);
        for (const auto& [name, value] : values) {
            for (std::size_t tier = 0; tier < 3; ++tier) {
                oracle[tier][kept.shape.tiers[tier].begin_of(now_s)][name].add(value);
            }
        }
    }
    for (std::size_t tier = 0; tier < 3; ++tier) {
        const Tier& ring = kept.shape.tiers[tier];
        const std::int64_t oldest_s = ring.begin_of(now_s) - (ring.slots - 1) * ring.step_s;
        for (const std::string& name : names) {
            std::size_t found = 0;
            for (const Point& point : kept.read(name, tier, oldest_s, now_s)) {
                const Oracle& expected = oracle[tier][point.at_s][name];
                REQUIRE(point.cell.count == expected.count);
                CHECK(point.cell.mean == Approx(expected.sum / expected.count).epsilon(1e-5));
                CHECK(static_cast<double>(point.cell.min) == expected.min);
                CHECK(static_cast<double>(point.cell.max) == expected.max);
                ++found;
            }
            std::size_t expected = 0;
            for (const auto& [at_s, by_name] : oracle[tier]) {
                const auto one = by_name.find(name);
                expected += at_s >= oldest_s && one != by_name.end() && one->second.count > 0;
            }
            CHECK(found == expected);
        }
    }
    CHECK(kept.recorder->counts().damaged_rows == 0);
}

TEST_CASE("the files stay within their bound, however long it goes on", "[monitor][history][M5]") {
    Kept kept;
    for (std::int64_t i = 0; i < 2'000; ++i) {
        kept.recorder->add(k_begin_s + i * 60, {{"a", 1.0}});
    }
    CHECK(std::filesystem::file_size(kept.folder.path() / "rows") <= kept.shape.bytes());
    CHECK(std::filesystem::file_size(kept.folder.path() / "columns") < 200);
    CHECK(default_shape().bytes() < 45'000'000);
    const std::int64_t now_s = k_begin_s + 1'999 * 60;
    CHECK(kept.read("a", 2, 0, now_s).size() == 24);
    CHECK(kept.read("a", 1, 0, now_s).size() == 10);
}

TEST_CASE("values from before a restart are there after it", "[monitor][history][M5]") {
    Kept kept;
    kept.recorder->add(k_begin_s, {{"a", 2.0}});
    kept.recorder->add(k_begin_s + 10, {{"a", 4.0}});
    CHECK(kept.open().empty());
    kept.recorder->add(k_begin_s + 11, {{"a", 9.0}});
    const auto points = kept.read("a", 1, k_begin_s, k_begin_s + 20);
    REQUIRE(points.size() == 1);
    CHECK(points[0].cell.count == 3);
    CHECK(points[0].cell.mean == Approx(5.0F));
    CHECK(points[0].cell.min == 2.0F);
    CHECK(points[0].cell.max == 9.0F);
}

TEST_CASE(
    "what is recorded after a first try that failed is there later",
    "[monitor][history][M5]"
) {
    Kept kept;
    kept.recorder = std::make_unique<Recorder>(kept.shape);
    const auto folder = kept.folder.path() / "later";
    std::filesystem::create_directories(folder / "columns.new");  // in the way of the list
    CHECK_THROWS(kept.recorder->open(folder, 7));
    CHECK_THROWS(kept.recorder->add(k_begin_s, {{"a", 1.0}}));
    std::filesystem::remove(folder / "columns.new");
    (void)kept.recorder->open(folder, 8);
    kept.recorder->add(k_begin_s, {{"a", 2.0}});
    kept.recorder = std::make_unique<Recorder>(kept.shape);
    CHECK(kept.recorder->open(folder, 9).empty());
    CHECK(kept.read("a", 1, k_begin_s, k_begin_s + 20).size() == 1);
}

TEST_CASE("a row with a flipped bit is gone, and no other", "[monitor][history][M5]") {
    const std::uint64_t chosen = seed();
    INFO("TENON_TEST_SEED=" << chosen);
    std::mt19937_64 random{chosen};
    Kept kept;
    for (std::int64_t i = 0; i < 10; ++i) {
        kept.recorder->add(k_begin_s + i * 10, {{"a", static_cast<double>(i)}});
    }
    const std::filesystem::path file = kept.folder.path() / "rows";
    std::string text = read_text(file);
    constexpr std::size_t k_head = 4'096, k_row = 16 + 4 * 16;
    // In the row of the third step, but not in its time, which says whether it is there at all.
    const std::size_t slot = static_cast<std::size_t>((k_begin_s + 20) / 10 % 10);
    const std::size_t at = k_head + slot * k_row + 8 + random() % (k_row - 8);
    text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
    write_text(file, text);
    CHECK(kept.open().empty());
    const auto points = kept.read("a", 0, k_begin_s, k_begin_s + 95);
    REQUIRE(points.size() == 9);
    for (const Point& point : points) {
        CHECK(point.at_s != k_begin_s + 20);
        CHECK(
            static_cast<double>(point.cell.mean) == static_cast<double>(point.at_s - k_begin_s) / 10
        );
    }
    CHECK(kept.recorder->counts().damaged_rows > 0);
}

TEST_CASE("files that are no history are put aside and begun anew", "[monitor][history][M5]") {
    Kept kept;
    kept.recorder->add(k_begin_s, {{"a", 1.0}});
    const std::filesystem::path rows = kept.folder.path() / "rows";
    const std::filesystem::path columns = kept.folder.path() / "columns";
    SECTION("rubbish for rows") {
        write_text(rows, "rubbish");
    }
    SECTION("a flipped bit in the head") {
        std::string text = read_text(rows);
        text[9] = static_cast<char>(text[9] ^ 4);
        write_text(rows, text);
    }
    SECTION("a list that was cut") {
        const std::string text = read_text(columns);
        write_text(columns, text.substr(0, text.size() / 2));
    }
    SECTION("a list with another sum") {
        std::string text = read_text(columns);
        text[text.find(" a\n") + 1] = 'b';
        write_text(columns, text);
    }
    SECTION("no list") {
        std::filesystem::remove(columns);
    }
    SECTION("the list of other rows") {
        TemporaryFolder other;
        Recorder recorder{kept.shape};
        CHECK(recorder.open(other.path(), 8).empty());
        recorder.add(k_begin_s, {{"b", 1.0}});
        std::filesystem::copy_file(
            other.path() / "columns", columns, std::filesystem::copy_options::overwrite_existing
        );
    }
    SECTION("another shape") {
        kept.shape = small_shape(8);
    }
    CHECK_THAT(kept.open(), Contains("metric history"));
    CHECK(std::filesystem::exists(kept.folder.path() / "rows.damaged"));
    CHECK(kept.read("a", 0, k_begin_s, k_begin_s + 5).empty());
    kept.recorder->add(k_begin_s + 10, {{"a", 3.0}});
    CHECK(kept.open().empty());
    CHECK(kept.read("a", 0, k_begin_s, k_begin_s + 15).size() == 1);
}

TEST_CASE(
    "a clock that was ahead leaves nothing behind in the time to come",
    "[monitor][history][M5]"
) {
    Kept kept;
    kept.recorder->add(k_begin_s, {{"a", 1.0}});
    for (std::int64_t i = 0; i < 6; ++i) {
        kept.recorder->add(k_begin_s + 630 + i * 10, {{"a", 100.0}});  // ten minutes ahead
    }
    kept.recorder->add(k_begin_s + 20, {{"a", 3.0}});  // set back
    CHECK(kept.recorder->counts().steps_back == 1);
    CHECK(kept.read("a", 0, k_begin_s, k_begin_s + 25).size() == 2);  // none of later than now
    const auto minute = kept.read("a", 1, k_begin_s, k_begin_s + 25);
    REQUIRE(minute.size() == 1);
    CHECK(minute[0].cell.max == 3.0F);
    CHECK(kept.open().empty());  // it knows after a restart, too
    for (std::int64_t i = 3; i < 66; ++i) {
        kept.recorder->add(k_begin_s + i * 10, {{"a", 5.0}});
    }
    CHECK(kept.recorder->counts().steps_back == 0);
    for (const Point& point : kept.read("a", 1, k_begin_s + 600, k_begin_s + 660)) {
        CHECK(point.cell.max == 5.0F);
    }
}

TEST_CASE("a clock that was far behind takes nothing away", "[monitor][history][M5]") {
    Kept kept;
    for (std::int64_t i = 0; i < 6; ++i) {
        kept.recorder->add(k_begin_s + i * 10, {{"a", 1.0}});
    }
    kept.recorder->add(1'000, {{"a", 9.0}});  // the machine began in 1970
    kept.recorder->add(k_begin_s + 70, {{"a", 2.0}});
    const auto points = kept.read("a", 1, k_begin_s, k_begin_s + 80);
    REQUIRE(points.size() == 2);
    CHECK(points[0].cell.max == 1.0F);
    CHECK(points[1].cell.max == 2.0F);
}

TEST_CASE(
    "series beyond the columns are counted until one was not seen for a day",
    "[monitor][history][K10]"
) {
    Kept kept{small_shape(2)};
    kept.recorder->add(k_begin_s, {{"a", 1.0}, {"b", 2.0}, {"c", 3.0}});
    CHECK(kept.recorder->counts().series == 2);
    CHECK(kept.recorder->counts().left_out == 1);
    const std::int64_t later_s = k_begin_s + k_day_s + 10;
    kept.recorder->add(later_s - 60, {{"a", 1.0}});
    kept.recorder->add(later_s, {{"a", 1.0}, {"c", 3.0}});
    CHECK(kept.recorder->counts().left_out == 0);
    CHECK(kept.open().empty());
    CHECK(kept.read("b", 0, later_s - 100, later_s).empty());
    REQUIRE(kept.read("c", 0, later_s - 100, later_s).size() == 1);
    CHECK(kept.read("c", 2, 0, later_s).size() == 1);  // and nothing of what b had there
}

TEST_CASE("what is no number is no point", "[monitor][history][M5]") {
    Kept kept;
    kept.recorder->add(
        k_begin_s, {{"a", std::nan("")}, {"b", HUGE_VAL}, {"c", 1e300}, {"d\ne", 1.0}, {"ok", -0.5}}
    );
    CHECK(kept.recorder->counts().series == 1);
    CHECK(kept.read("ok", 0, k_begin_s, k_begin_s + 5).front().cell.min == -0.5F);
}

TEST_CASE("a span is answered by the finest steps that reach back", "[monitor][history][M5]") {
    const Recorder recorder;
    const std::int64_t now_s = k_begin_s;
    const auto step = [&](std::int64_t back_s) {
        return recorder.span_of(now_s - back_s, now_s, {}, now_s).step_s;
    };
    CHECK(step(3'600) == 10);
    CHECK(step(7'200) == 10);
    CHECK(step(7'210) == 60);
    CHECK(step(k_day_s) == 60);
    CHECK(step(k_day_s + 60) == 600);
    CHECK(step(10 * k_day_s) == 600);
    CHECK(step(30 * k_day_s) == 7'200);  // 4,320 points are too many
    CHECK(step(365 * k_day_s) % 7'200 == 0);
    CHECK(365 * k_day_s / step(365 * k_day_s) <= 1'440);
    CHECK(recorder.span_of(0, now_s, {}, now_s).from_s >= now_s - 366 * k_day_s);
    CHECK(recorder.span_of(now_s - 60, now_s, 30, now_s).step_s == 30);
    CHECK_THROWS_WITH(recorder.span_of(now_s - 60, now_s, 15, now_s), Contains("multiple of 10 s"));
    CHECK_THROWS_WITH(recorder.span_of(now_s - 60, now_s, 0, now_s), Contains("multiple"));
    CHECK_THROWS_WITH(
        recorder.span_of(now_s - 9'000, now_s, 10, now_s),
        Contains("steps of 10 s are kept for 7200 s, and from is 9000 s ago")
    );
    CHECK_THROWS_WITH(recorder.span_of(now_s, now_s, {}, now_s), Contains("before"));
}

TEST_CASE(
    "a question is read from a query, and refused with its parameter",
    "[monitor][history][M5]"
) {
    const Question question =
        question_of("series=cpu,hits%7Bcache%3D%22a%2Cb%22%7D&from=-60&step=10");
    CHECK(question.series == std::vector<std::string>{"cpu", "hits{cache=\"a,b\"}"});
    CHECK(question.from == -60);
    CHECK(question.to == 0);
    CHECK(question.step_s == 10);
    CHECK_THROWS_WITH(question_of("from=yesterday"), Contains("from: found \"yesterday\""));
    CHECK_THROWS_WITH(question_of("step=1e3"), Contains("step"));
    CHECK_THROWS_WITH(question_of("to=99999999999999999999"), Contains("to"));
    CHECK_THROWS_WITH(question_of("colour=red"), Contains("unknown parameter \"colour\""));
    CHECK_THROWS_WITH(question_of("series=%4"), Contains("hexadecimal"));
    CHECK_THROWS_WITH(question_of("series=%zz"), Contains("hexadecimal"));
}

TEST_CASE("an answer has the points of every set of labels", "[monitor][history][M5]") {
    Kept kept;
    const SeriesFile file{Settings{R"({"series":[
        {"name":"hits","title":"Hits","unit":"ratio","value":{"metric":"tenon_x"}}]})"}};
    kept.recorder->add(
        k_begin_s, {{"hits{cache=\"a\\\"b\"}", 0.5}, {"hits{cache=\"c\"}", 1.0}, {"hits2", 1.0}}
    );
    const auto ask_for = [&](const std::string& query) {
        return history_json(
            *kept.recorder, file.definitions, question_of(query), k_begin_s * 1'000 + 5'000
        );
    };
    const std::string at = std::to_string(k_begin_s * 1'000);
    const std::string both = ask_for("series=hits&from=-5");
    CHECK_THAT(
        both,
        Contains(
            R"("series":"hits{cache=\"a\\\"b\"}","name":"hits","labels":{"cache":"a\"b"},)"
            R"("title":"Hits","unit":"ratio","points":[[)" +
            at + ",0.5,0.5,0.5]]"
        )
    );
    CHECK_THAT(both, Contains("[" + at + ",1,1,1]"));
    CHECK_THAT(both, !Contains("hits2"));
    CHECK_THAT(ask_for("series=hits%7Bcache%3D%22c%22%7D&from=-5"), !Contains("0.5"));
    CHECK_THROWS_WITH(ask_for("series=none"), Contains("there is no \"none\""));
    CHECK_THROWS_WITH(ask_for("from=-5"), Contains("at least one"));
    CHECK_THAT(
        series_json(*kept.recorder, file.definitions, 5),
        Contains(R"("tiers":[{"step_s":10,"keep_s":100},)") && Contains("\"since_ms\":" + at)
    );
}

TEST_CASE("an answer is bounded", "[monitor][history][K10]") {
    Kept kept{{{{10, 720}, {60, 1'440}}, 100}};
    Recorder::Values values;
    for (int i = 0; i < 65; ++i) {
        values.emplace_back("x{i=\"" + std::to_string(i) + "\"}", 1.0);
    }
    values.pop_back();
    kept.recorder->add(k_begin_s, values);
    const auto ask_for = [&](const std::string& query) {
        return history_json(*kept.recorder, {}, question_of(query), k_begin_s * 1'000);
    };
    CHECK_NOTHROW(ask_for("series=x&from=-600"));
    CHECK_THROWS_WITH(ask_for("series=x&from=-7200"), Contains("are more than 20000"));
    values.emplace_back("x{i=\"64\"}", 1.0);
    kept.recorder->add(k_begin_s, values);
    CHECK_THROWS_WITH(ask_for("series=x&from=-60"), Contains("these are 65"));
}

TEST_CASE(
    "the list that ships is read, and a wrong one refused with its place",
    "[monitor][history][M5]"
) {
    CHECK(SeriesFile{Settings{builtin_series()}}.definitions.size() > 40);
    const auto refused = [](const std::string& text) { return SeriesFile{Settings{text}}; };
    CHECK_THROWS_WITH(refused(R"({"series":[]})"), Contains("1 to 128"));
    CHECK_THROWS_WITH(
        refused(
            R"({"series":[{"name":"A b","title":"t","unit":"ratio","value":{"metric":"tenon_x"}}]})"
        ),
        Contains("/series/0") && Contains("A b")
    );
    CHECK_THROWS_WITH(
        refused(
            R"({"series":[{"name":"a","title":"t","unit":"miles","value":{"metric":"tenon_x"}}]})"
        ),
        Contains("unit")
    );
    CHECK_THROWS_WITH(
        refused(R"({"series":[{"name":"a","title":"t","unit":"ratio","value":{"metric":"x"}}]})"),
        Contains("/series/0/value")
    );
}
