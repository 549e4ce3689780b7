// SPDX-License-Identifier: Apache-2.0
// Mail through a relay that speaks TLS after STARTTLS, and through those that only seem to.
#include "plugins/monitor/alerts/delivery.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/wire_server.hpp"
#include "tests/unit/net/rig.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <mutex>
#include <string>
#include <vector>

using namespace tenon;
using namespace tenon::alerts;
using namespace tenon::test;
using Catch::Contains;

namespace {

struct Habits {
    std::string plain_hello = "250-relay\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n";
    std::string starttls = "220 go ahead\r\n";
    std::string sealed_hello = "250-relay\r\n250 AUTH PLAIN LOGIN\r\n";
};

// A relay on a port of its own; what it was told, each line with how it came.
class SealedRelay {
public:
    SealedRelay(const WireCertificate& certificate, Habits habits)
        : certificate_{certificate},
          habits_{std::move(habits)},
          server_{[this](WireConnection& wire) { play(wire); }} {}

    [[nodiscard]] std::vector<std::string> lines() const {
        const std::lock_guard lock{mutex_};
        return lines_;
    }

    [[nodiscard]] std::string settings() const {
        return R"({"server":"box","mail_relay":"smtp+starttls://127.0.0.1:)" +
               std::to_string(server_.port()) +
               R"(","mail_from":"tenon@example.org","mail_to":["a@example.org"],)"
               R"("mail_user":"ops","mail_password":"open sesame"})";
    }

private:
    void play(WireConnection& wire) {
        bool is_sealed = false;
        wire.send("220 relay ready\r\n");
        for (;;) {
            const std::string line = wire.read_until("\r\n");
            if (!line.ends_with("\r\n")) {
                return;
            }
            {
                const std::lock_guard lock{mutex_};
                lines_.push_back(
                    (is_sealed ? "sealed " : "plain ") + line.substr(0, line.size() - 2)
                );
            }
            if (line.starts_with("EHLO")) {
                wire.send(is_sealed ? habits_.sealed_hello : habits_.plain_hello);
            } else if (line.starts_with("STARTTLS")) {
                wire.send(habits_.starttls);
                if (!habits_.starttls.starts_with("220")) {
                    continue;
                }
                if (!wire.start_tls(certificate_)) {
                    return;
                }
                is_sealed = true;
            } else if (line.starts_with("DATA")) {
                wire.send("354 go on\r\n");
                (void)wire.read_until("\r\n.\r\n");
                wire.send("250 taken\r\n");
            } else if (line.starts_with("AUTH PLAIN")) {
                wire.send("235 welcome\r\n");
            } else if (line.starts_with("AUTH LOGIN")) {
                wire.send("334 VXNlcm5hbWU6\r\n");
            } else if (line == base64("ops") + "\r\n") {
                wire.send("334 UGFzc3dvcmQ6\r\n");
            } else if (line == base64("open sesame") + "\r\n") {
                wire.send("235 welcome\r\n");
            } else {
                wire.send("250 ok\r\n");
            }
        }
    }

    const WireCertificate& certificate_;
    Habits habits_;
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    WireServer server_;
};

struct Scene : NetRig {
    TemporaryFolder folder;
    WireCertificate certificate{"localhost"};
    std::unique_ptr<Delivery> delivery;
    std::vector<std::string> told;

    void deliver(const SealedRelay& relay, const WireCertificate& trusted) {
        const std::string file = (folder.path() / "ca.pem").string();
        std::ofstream{file} << trusted.certificate_pem;
        const Host seen{host.raw()};
        delivery = std::make_unique<Delivery>(
            seen,
            DeliverySettings{Settings{relay.settings()}},
            std::make_shared<net::TlsContext>(file),
            [this](const std::string&, const std::string& trouble) { told.push_back(trouble); }
        );
        auto notice = std::make_shared<Notice>();
        notice->id = "abc";
        notice->rule = "Slow";
        notice->server = "box";
        notice->severity = Severity::critical;
        delivery->outbox().put(notice);
    }

    [[nodiscard]] std::int64_t metric(const std::string& name) const {
        return host.metric("tenon_alerts_" + name, "target=\"mail\"");
    }

    // Tried until it is in trouble for a reason: three times.
    std::string trouble() {
        for (std::int64_t attempt = 1; attempt <= 3; ++attempt) {
            REQUIRE(until([&] { return metric("send_failures_total") == attempt; }));
            host.reactor().advance(10'000'000'000);
        }
        REQUIRE_FALSE(told.empty());
        return told.back();
    }
};

}  // namespace

TEST_CASE("mail goes over STARTTLS, and all but the first hello is sealed", "[alerts][M3]") {
    const bool login_only = GENERATE(true, false);
    Scene scene;
    Habits habits;
    habits.sealed_hello = login_only ? "250-relay\r\n250 auth LOGIN\r\n" : habits.sealed_hello;
    const SealedRelay relay{scene.certificate, habits};
    scene.deliver(relay, scene.certificate);
    REQUIRE(scene.until([&] { return scene.metric("sent_total") == 1; }));
    const auto lines = relay.lines();
    REQUIRE(lines.size() >= 6);
    CHECK(lines[0] == "plain EHLO box");
    CHECK(lines[1] == "plain STARTTLS");
    CHECK(lines[2] == "sealed EHLO box");
    CHECK(
        lines[3] == (login_only
                         ? "sealed AUTH LOGIN"
                         : "sealed AUTH PLAIN " + base64(std::string{"\0ops\0open sesame", 16}))
    );
    CHECK(lines[login_only ? 6 : 4] == "sealed MAIL FROM:<tenon@example.org>");
}

TEST_CASE("a relay without STARTTLS gets neither password nor mail", "[alerts][M3]") {
    Scene scene;
    Habits habits;
    const bool is_offered = GENERATE(true, false);
    if (is_offered) {
        habits.starttls = "454 TLS not available\r\n";
    } else {
        habits.plain_hello =
            "250-relay\r\n250 AUTH PLAIN LOGIN\r\n";  // as a man in the middle does
    }
    const SealedRelay relay{scene.certificate, habits};
    scene.deliver(relay, scene.certificate);
    const std::string trouble = scene.trouble();
    CHECK_THAT(trouble, Contains(is_offered ? "454 TLS not available" : "does not offer STARTTLS"));
    for (const std::string& line : relay.lines()) {
        CHECK((line == "plain EHLO box" || line == "plain STARTTLS"));
    }
    CHECK(scene.metric("sent_total") == 0);
    CHECK(scene.metric("notices_waiting") == 1);
}

TEST_CASE("a relay that nobody vouches for gets nothing", "[alerts][M3]") {
    Scene scene;
    const WireCertificate stranger{"localhost"};
    const SealedRelay relay{stranger, {}};
    scene.deliver(relay, scene.certificate);
    CHECK_THAT(scene.trouble(), Contains("the certificate is refused"));
    for (const std::string& line : relay.lines()) {
        CHECK(line.starts_with("plain "));
        CHECK_THAT(line, !Contains("AUTH"));
    }
}

TEST_CASE("what comes with the answer to STARTTLS does not count as sealed", "[alerts][M3]") {
    Scene scene;
    Habits habits;
    habits.starttls = "220 go ahead\r\n250-relay\r\n250 AUTH PLAIN\r\n";
    const SealedRelay relay{scene.certificate, habits};
    scene.deliver(relay, scene.certificate);
    CHECK_THAT(scene.trouble(), Contains("more than STARTTLS asks for"));
    CHECK(scene.metric("sent_total") == 0);
}
