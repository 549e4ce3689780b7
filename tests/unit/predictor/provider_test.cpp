// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/predictor/provider.hpp"

#include "plugins/trading/predictor/http_post.hpp"

#include <catch2/catch.hpp>

using namespace tenon::predictor;

TEST_CASE("a request names the model and quotes what is asked", "[predictor][T7]") {
    const std::vector<Question> questions{{"A\"B", R"({"x":1})"}, {"C", "{}"}};
    CHECK(
        request_body("m", questions) ==
        R"({"model":"m","inputs":[{"symbol":"A\"B","input":{"x":1}},{"symbol":"C","input":{}}]})"
    );
}

TEST_CASE("an answer is read as it was written, costs are exact", "[predictor][T7]") {
    const BatchAnswer answer = read_answer(
        R"({"predictions":[{"p":0.10,"t":["a",null,true]},{"error":"no data"},7],"cost":"0.00120001"})",
        3,
        5
    );
    REQUIRE(answer.answers.size() == 3);
    CHECK(answer.answers[0].prediction == R"({"p":0.10,"t":["a",null,true]})");
    CHECK(answer.answers[1].status == TENON_UNAVAILABLE);
    CHECK(answer.answers[1].message == "the provider refused: no data");
    CHECK(answer.answers[2].status == TENON_CORRUPT);
    CHECK(answer.cost == 120'001);
    CHECK(read_answer(R"({"predictions":[{},{"error":"x"},{}]})", 3, 5).cost == 10);
}

TEST_CASE("what is no answer is refused", "[predictor][T7]") {
    for (const char* body :
         {"",
          "<html>",
          "[]",
          "{}",
          R"({"predictions":[]})",
          R"({"predictions":[{},{}]})",
          R"({"predictions":{}})",
          R"({"predictions":[{}],"cost":0.5})",
          R"({"predictions":[{}],"cost":"-1"})",
          R"({"predictions":[{}],"cost":"0.000000001"})"}) {
        CAPTURE(body);
        CHECK_THROWS_AS(read_answer(body, 1, 0), tenon::Error);
    }
    CHECK_THROWS_AS(read_answer(R"({"predictions":[{},{}]})", 2, INT64_MAX), tenon::Error);
}

TEST_CASE("a URL is taken apart, and a bad one refused without its text", "[predictor][T7]") {
    const Url plain = parse_url("http://127.0.0.1:8080/a/b?c=d");
    CHECK_FALSE(plain.is_tls);
    CHECK(plain.host == "127.0.0.1");
    CHECK(plain.port == "8080");
    CHECK(plain.path == "/a/b?c=d");
    const Url tls = parse_url("https://api.example.com");
    CHECK(tls.is_tls);
    CHECK(tls.port == "443");
    CHECK(tls.path == "/");
    for (const char* bad :
         {"",
          "ftp://hidden",
          "https://",
          "http://:80/",
          "http://hidden:x/",
          "http://u:p@hidden/",
          "http://hidden:123456/",
          "http://hid den/",
          "http://hidden/\r\nX: y"}) {
        CAPTURE(bad);
        CHECK_THROWS_WITH(parse_url(bad), !Catch::Contains("hid"));
    }
}
