// SPDX-License-Identifier: Apache-2.0
#include "tools/load/answer_reader.hpp"

#include <catch2/catch.hpp>

#include <string>

using tenon::load::AnswerReader;

TEST_CASE("an answer is read whatever pieces it comes in", "[load][P1]") {
    const std::string answer =
        "HTTP/1.1 404 Not Found\r\nServer: x\r\ncontent-LENGTH:  5 \r\n\r\nhello";
    for (std::size_t piece = 1; piece <= answer.size(); ++piece) {
        AnswerReader reader;
        for (int again = 0; again < 2; ++again) {
            int status = 0;
            for (std::size_t at = 0; at < answer.size(); at += piece) {
                REQUIRE(status == 0);
                status = reader.take(std::string_view{answer}.substr(at, piece));
            }
            REQUIRE(status == 404);
            REQUIRE_FALSE(reader.midway());
        }
    }
}

TEST_CASE("answers without a body end with their head", "[load][P1]") {
    AnswerReader reader;
    CHECK(reader.take("HTTP/1.1 204 No Content\r\n\r\n") == 204);
    CHECK(reader.take("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n") == 304);
    CHECK(reader.take("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n") == 200);
    CHECK(reader.closes());
    CHECK(reader.take("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == 200);
    CHECK_FALSE(reader.closes());
}

TEST_CASE("what is no answer is refused with the reason", "[load][P1]") {
    const auto trouble = [](std::string_view bytes) {
        AnswerReader reader;
        CHECK(reader.take(bytes) == -1);
        return reader.trouble();
    };
    CHECK(trouble("SSH-2.0-OpenSSH\r\n\r\n") == "what came is no answer of HTTP/1.1");
    CHECK(
        trouble("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n") ==
        "an answer's Content-Length is no number"
    );
    CHECK(
        trouble("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") ==
        "an answer is chunked, which is not supported"
    );
    CHECK(
        trouble("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab") ==
        "the server sent more than one answer"
    );
    CHECK(trouble(std::string(70'000, 'x')) == "the head of an answer is longer than 64 KiB");
}
