// SPDX-License-Identifier: Apache-2.0
// Notices that go out, to servers of the test that answer as they should and as they should not.
#include "plugins/monitor/alerts/delivery.hpp"
#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <tenon/json.hpp>

#include <catch2/catch.hpp>

#include <mutex>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;
using namespace tenon::test;
using Catch::Contains;

namespace {

constexpr std::int64_t k_s = 1'000'000'000;

std::shared_ptr<const Notice> notice(const std::string& id, Severity severity = Severity::warning) {
    auto made = std::make_shared<Notice>();
    made->id = id;
    made->rule = "Slow";
    made->summary = "it is slow";
    made->server = "box";
    made->severity = severity;
    Alert alert{"Slow", severity, {{"host", "a"}}};
    alert.state = Alert::State::firing;
    made->firing.push_back(std::move(alert));
    return made;
}

std::string answer(const std::string& status, const std::string& headers = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n" + headers + "\r\n";
}

struct Got {
    std::string head, body;

    [[nodiscard]] std::string header(const std::string& name) const {
        const std::size_t at = head.find("\r\n" + name + ": ") + name.size() + 4;
        return head.substr(at, head.find("\r\n", at) - at);
    }
};

// Answers one request after another as it was told; what is beyond gets 200.
class Receiver {
public:
    explicit Receiver(std::vector<std::string> answers)
        : answers_{std::move(answers)}, server_{[this](WireConnection& wire) { play(wire); }} {}

    [[nodiscard]] std::vector<Got> got() const {
        const std::lock_guard lock{mutex_};
        return got_;
    }

    [[nodiscard]] std::size_t count() const { return got().size(); }

    [[nodiscard]] int port() const { return server_.port(); }

private:
    void play(WireConnection& wire) {
        for (;;) {
            Got got{wire.read_until("\r\n\r\n"), {}};
            if (!got.head.ends_with("\r\n\r\n")) {
                return;
            }
            got.body = wire.read_exactly(std::stoul(got.header("Content-Length")));
            std::string reply = answer("200 OK");
            {
                const std::lock_guard lock{mutex_};
                got_.push_back(got);
                if (got_.size() <= answers_.size()) {
                    reply = answers_[got_.size() - 1];
                }
            }
            wire.send(reply);
        }
    }

    mutable std::mutex mutex_;
    std::vector<Got> got_;
    std::vector<std::string> answers_;
    WireServer server_;
};

struct Rig : NetRig {
    std::vector<std::string> told;
    std::unique_ptr<Delivery> delivery;

    explicit Rig(
        const std::string& settings,
        std::shared_ptr<const net::TlsContext> tls = nullptr
    ) {
        const Host seen{host.raw()};
        delivery = std::make_unique<Delivery>(
            seen,
            DeliverySettings{Settings{settings}},
            std::move(tls),
            [this](const std::string& target, const std::string& trouble) {
                told.push_back(target + ": " + trouble);
            }
        );
    }

    void put(const std::shared_ptr<const Notice>& one) { delivery->outbox().put(one); }

    [[nodiscard]] std::int64_t metric(const std::string& name, const std::string& target = "hook") {
        return host.metric("tenon_alerts_" + name, "target=\"" + target + "\"");
    }
};

std::string hook(int port, const std::string& more = "") {
    return R"({"server":"box","webhooks":[{"name":"hook","url":"http://127.0.0.1:)" +
           std::to_string(port) + R"(/in?x=1")" + more + "}]}";
}

// A relay; what it was told, line by line.
class Relay {
public:
    // `odd`: what it says instead to a line that begins so.
    explicit Relay(std::string odd_line = "", std::string odd_reply = "")
        : odd_line_{std::move(odd_line)},
          odd_reply_{std::move(odd_reply)},
          server_{[this](WireConnection& wire) { play(wire); }} {}

    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock{mutex_};
        return lines_;
    }

    [[nodiscard]] std::string settings() const {
        return R"({"server":"box","mail_relay":"smtp://127.0.0.1:)" +
               std::to_string(server_.port()) +
               R"(","mail_from":"tenon@example.org","mail_to":["a@example.org","b@example.org"]})";
    }

private:
    void play(WireConnection& wire) {
        wire.send("220 relay ready\r\n");
        for (;;) {
            const std::string line = wire.read_until("\r\n");
            if (!line.ends_with("\r\n")) {
                return;
            }
            {
                const std::lock_guard lock{mutex_};
                lines_.push_back(line.substr(0, line.size() - 2));
            }
            if (!odd_line_.empty() && line.starts_with(odd_line_)) {
                wire.send(odd_reply_);
            } else if (line.starts_with("EHLO")) {
                wire.send("250-relay\r\n250-SIZE 1000000\r\n250 HELP\r\n");
            } else if (line.starts_with("DATA")) {
                wire.send("354 go on\r\n");
                const std::string text = wire.read_until("\r\n.\r\n");
                {
                    const std::lock_guard lock{mutex_};
                    lines_.push_back(text);
                }
                wire.send("250 2.0.0 taken\r\n");
            } else {
                wire.send("250 ok\r\n");
            }
        }
    }

    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    std::string odd_line_, odd_reply_;
    WireServer server_;
};

}  // namespace

TEST_CASE("a webhook is signed, and has the notice's id", "[monitor][alerts][M3]") {
    Receiver receiver{{}};
    Rig rig{hook(receiver.port(), R"(,"secret":"key")")};
    rig.put(notice("abc"));
    REQUIRE(rig.until([&] { return rig.metric("sent_total") == 1; }));
    const Got got = receiver.got().at(0);
    CHECK(got.head.starts_with("POST /in?x=1 HTTP/1.1\r\n"));
    CHECK(got.header("X-Tenon-Id") == "abc");
    CHECK(Json::parse(got.body).find("id")->text() == "abc");
    const std::string stamp = got.header("X-Tenon-Timestamp");
    CHECK(got.header("X-Tenon-Signature") == "v1=" + hmac_sha256("key", stamp + "." + got.body));
    CHECK(rig.metric("notices_waiting") == 0);
    // RFC 4231, test case 2.
    CHECK(
        hmac_sha256("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}

TEST_CASE("a webhook that fails for a while gets the same notice again", "[monitor][alerts][M3]") {
    Receiver receiver{{answer("503 Busy"), answer("429 Slow", "Retry-After: 100\r\n")}};
    Rig rig{hook(receiver.port())};
    rig.put(notice("abc"));
    rig.put(notice("def"));
    REQUIRE(rig.until([&] { return rig.metric("send_failures_total") == 1; }));
    rig.host.reactor().advance(2 * k_s);
    REQUIRE(rig.until([&] { return rig.metric("send_failures_total") == 2; }));
    // It asked for 100 s.
    rig.host.reactor().advance(90 * k_s);
    for (int i = 0; i < 5; ++i) {
        rig.host.reactor().turn(1);
    }
    CHECK(receiver.count() == 2);
    rig.host.reactor().advance(20 * k_s);
    REQUIRE(rig.until([&] { return rig.metric("sent_total") == 2; }));
    const auto got = receiver.got();
    CHECK(got.at(1).header("X-Tenon-Id") == "abc");
    CHECK(got.at(2).header("X-Tenon-Id") == "abc");
    CHECK(got.at(3).header("X-Tenon-Id") == "def");
    CHECK(rig.metric("notices_lost_total") == 0);
}

TEST_CASE("a notice that is refused for good is lost and counted", "[monitor][alerts][M3]") {
    Receiver receiver{{answer("404 None")}};
    Rig rig{hook(receiver.port())};
    rig.put(notice("abc"));
    rig.put(notice("def"));
    REQUIRE(rig.until([&] { return rig.metric("sent_total") == 1; }));
    CHECK(rig.metric("notices_lost_total") == 1);
    CHECK(rig.told == std::vector<std::string>{"hook: HTTP 404", "hook: "});
}

TEST_CASE("a target takes notices of its severity and worse", "[monitor][alerts][M3]") {
    Receiver receiver{{}};
    Rig rig{hook(receiver.port(), R"(,"severity":"critical")")};
    rig.put(notice("low"));
    rig.put(notice("high", Severity::critical));
    REQUIRE(rig.until([&] { return rig.metric("sent_total") == 1; }));
    CHECK(receiver.got().at(0).header("X-Tenon-Id") == "high");
}

TEST_CASE("a target that is away costs no more than its queue", "[monitor][alerts][M3]") {
    const WireServer gone{[](WireConnection& wire) { wire.cut(); }};
    Rig rig{hook(gone.port())};
    for (int i = 0; i < 130; ++i) {
        rig.put(notice(std::to_string(i)));
    }
    CHECK(rig.metric("notices_waiting") == 100);
    CHECK(rig.metric("notices_lost_total") == 30);
    for (int i = 1; i <= 3; ++i) {
        REQUIRE(rig.until([&] {
            rig.host.reactor().advance(5 * k_s);
            return rig.metric("send_failures_total") >= i;
        }));
    }
    REQUIRE_FALSE(rig.told.empty());
    CHECK(rig.told.back() != "hook: ");
    CHECK(rig.delivery->outbox().state().at(0).waiting == 100);
    // After an hour they are too old.
    rig.host.reactor().advance(3'700 * k_s);
    REQUIRE(rig.until([&] {
        rig.host.reactor().advance(60 * k_s);
        return rig.metric("notices_waiting") == 0;
    }));
    CHECK(rig.metric("notices_lost_total") + rig.metric("sent_total") == 130);
}

TEST_CASE("a mail goes through the relay to every recipient", "[monitor][alerts][M3]") {
    const Relay relay;
    Rig rig{relay.settings()};
    rig.put(notice("abc", Severity::critical));
    REQUIRE(rig.until([&] { return rig.metric("sent_total", "mail") == 1; }));
    const auto lines = relay.lines();
    REQUIRE(lines.size() >= 6);
    CHECK(lines[0] == "EHLO box");
    CHECK(lines[1] == "MAIL FROM:<tenon@example.org>");
    CHECK(lines[2] == "RCPT TO:<a@example.org>");
    CHECK(lines[3] == "RCPT TO:<b@example.org>");
    CHECK(lines[4] == "DATA");
    CHECK_THAT(lines[5], Contains("\r\nSubject: [critical] Slow on box\r\n"));
    CHECK_THAT(lines[5], Contains("\r\nMessage-ID: <abc@box>\r\n"));
    CHECK_THAT(lines[5], Contains("To: <a@example.org>,\r\n <b@example.org>\r\n"));
    CHECK_THAT(lines[5], Contains(base64("it is slow\n\nFiri").substr(0, 20)));
    // A second one, on a connection of its own.
    rig.put(notice("def"));
    REQUIRE(rig.until([&] { return rig.metric("sent_total", "mail") == 2; }));
}

TEST_CASE("a relay's no to the mail is final, its later is not", "[monitor][alerts][M3]") {
    const bool final = GENERATE(true, false);
    const Relay relay{"MAIL", final ? "550-no\r\n550 no such \x07user\r\n" : "451 later\r\n"};
    Rig rig{relay.settings()};
    rig.put(notice("abc"));
    REQUIRE(rig.until([&] { return rig.metric("send_failures_total", "mail") == 1; }));
    CHECK(rig.metric("notices_lost_total", "mail") == (final ? 1 : 0));
    CHECK(rig.metric("notices_waiting", "mail") == (final ? 0 : 1));
    CHECK(rig.told.at(0) == (final ? "mail: the relay says 550 no such ?user" : "mail: "));
}

TEST_CASE("a relay that refuses us altogether is asked again", "[monitor][alerts][M3]") {
    const Relay relay{"EHLO", "554 not now\r\n"};
    Rig rig{relay.settings()};
    rig.put(notice("abc"));
    REQUIRE(rig.until([&] { return rig.metric("send_failures_total", "mail") == 1; }));
    CHECK(rig.metric("notices_waiting", "mail") == 1);
}

TEST_CASE("a recipient that is gone keeps the mail from no other", "[monitor][alerts][M3]") {
    const bool for_good = GENERATE(true, false);
    const std::string no = for_good ? "550 gone" : "452 full";
    {
        const Relay relay{"RCPT TO:<a@", no + "\r\n"};
        Rig rig{relay.settings()};
        rig.put(notice("abc"));
        REQUIRE(rig.until([&] { return rig.metric("sent_total", "mail") == 1; }));
        CHECK(rig.told.at(0) == "mail: 1 of 2 recipients refused: the relay says " + no);
        CHECK(rig.metric("notices_lost_total", "mail") == 0);
    }
    const Relay relay{"RCPT", no + "\r\n"};
    Rig rig{relay.settings()};
    rig.put(notice("abc"));
    REQUIRE(rig.until([&] { return rig.metric("send_failures_total", "mail") == 1; }));
    CHECK(rig.metric("notices_lost_total", "mail") == (for_good ? 1 : 0));
    CHECK(rig.metric("sent_total", "mail") == 0);
}

TEST_CASE("a relay that says nothing or nonsense is given up", "[monitor][alerts][M3]") {
    const bool silent = GENERATE(true, false);
    const Relay relay{"EHLO", silent ? "" : "HTTP/1.1 400 Bad\r\n"};
    Rig rig{relay.settings()};
    rig.put(notice("abc"));
    REQUIRE(rig.until([&] {
        rig.host.reactor().advance(relay.lines().empty() ? 0 : k_s);
        return rig.metric("send_failures_total", "mail") == 1;
    }));
    CHECK(rig.metric("sent_total", "mail") == 0);
}

TEST_CASE("replies of a relay come in pieces, and are bounded", "[monitor][alerts]") {
    SmtpReplies replies;
    replies.add("250-a\r\n2");
    CHECK(replies.take().code == 0);
    replies.add("50 done\r\n");
    const SmtpReplies::Reply reply = replies.take();
    CHECK(reply.code == 250);
    CHECK(reply.text == "done");
    CHECK_THROWS_WITH(replies.add(std::string(20'000, 'x')), Contains("too much"));
    SmtpReplies other;
    other.add("hello\r\n");
    CHECK_THROWS_WITH(other.take(), Contains("does not speak SMTP"));
}

TEST_CASE("settings of targets that cannot work are refused", "[monitor][alerts][M3]") {
    const auto wrong = [](const std::string& json) { return DeliverySettings{Settings{json}}; };
    CHECK_THROWS_WITH(
        wrong(R"({"webhooks":[{"name":"a","url":"ftp://secret"}]})"),
        Contains("expected a URL") && !Contains("secret")
    );
    CHECK_THROWS_WITH(wrong(R"({"webhooks":[{"name":"a b","url":"http://x"}]})"), Contains("name"));
    CHECK_THROWS_WITH(
        wrong(R"({"webhooks":[{"name":"a","url":"http://x"},{"name":"a","url":"http://y"}]})"),
        Contains("two targets")
    );
    CHECK_THROWS_WITH(wrong(R"({"mail_relay":"smtp://x"})"), Contains("mail_to"));
    CHECK_THROWS_WITH(
        wrong(R"({"mail_relay":"smtp://x","mail_from":"a@b","mail_to":["a@b\r\nRCPT"]})"),
        Contains("mail address")
    );
    CHECK_THROWS_WITH(
        wrong(
            R"({"mail_relay":"smtp://x","mail_from":"a@b","mail_to":["a@b"],"mail_user":"u","mail_password":"p"})"
        ),
        Contains("smtps") && !Contains("\"p\"")
    );
    CHECK_THROWS_WITH(wrong(R"({"server":"a\r\nb"})"), Contains("server"));
    CHECK(parse_relay("smtp://host").port == "25");
    CHECK(parse_relay("smtps://host").port == "465");
    CHECK(parse_relay("smtps://[::1]:2465").port == "2465");
    CHECK(parse_relay("smtp+starttls://host").port == "587");
    CHECK(parse_relay("smtp+starttls://host").is_sealed());
    CHECK_FALSE(parse_relay("smtp://host").is_sealed());
    CHECK_THROWS_WITH(parse_relay("host:25"), Contains("smtp://"));
}
