// SPDX-License-Identifier: Apache-2.0
// The native API over a migrated database, asked without HTTP: two traders and an
// administrator.
#pragma once

#include "plugins/trading/records/api.hpp"
#include "plugins/trading/records/kept_answers.hpp"
#include "sdk/sealing/secret_box.hpp"
#include "tests/unit/migrations/shipped_schema.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::test {

class RecordsFixture {
public:
    static constexpr std::uint64_t k_ann = 16, k_bob = 17, k_ops = 18;
    // Without users, though there is a user with the id of the one and the name of the other.
    static constexpr std::uint64_t k_new = 19, k_namesake = 20;
    static constexpr std::int64_t k_now_ns = 1'767'225'600'000'000'000;

    RecordsFixture() {
        shipped_schema(backend)->up();
        backend.storage().write(backend.deadline(), [this](Session& s) {
            s.execute(
                "INSERT INTO assets VALUES (0, 'BTC', 8), (1, 'USDT', 8);"
                "INSERT INTO instruments (id, symbol, base, quote, price_scale, "
                "quantity_scale) VALUES (0, 'BTCUSDT', 0, 1, 2, 5);"
                "INSERT INTO users (id, name, created_real_ns) VALUES (16, 'ann', 0), "
                "(17, 'bob', 0), (18, 'ops', 0), (19, 'eve', 0);"
                "INSERT INTO accounts (id, name, user_id) VALUES (16, 'ann', 16), "
                "(17, 'bob', 17), (18, 'ops', 18), (19, 'new', NULL), (20, 'eve', NULL)"
            );
            // Whoever gives ids by hand has to see to it that they are not given again.
            if (backend.storage().dialect() == "postgres") {
                s.execute("ALTER TABLE users ALTER COLUMN id RESTART WITH 1000");
            }
        });
    }

    // "GET /api/news?limit=1" and a body, by an account with all permissions.
    records::Answer raw(std::uint64_t account, std::string_view request, std::string body = {}) {
        records::Request r;
        r.method = request.substr(0, request.find(' '));
        std::string_view target = request.substr(r.method.size() + 1);
        const std::size_t mark = std::min(target.find('?'), target.size());
        r.path = target.substr(0, mark);
        r.query = target.substr(std::min(mark + 1, target.size()));
        r.body = std::move(body);
        r.caller = {account, may_read, may_trade, account == k_ops};
        r.now_real_ns = now_ns;
        for (const bool with_id : {false, true}) {
            for (const records::Endpoint& endpoint : records::endpoints()) {
                const std::size_t id = endpoint.path.find("{id}");
                const bool fits = with_id ? id != std::string::npos &&
                                                r.path.compare(0, id, endpoint.path, 0, id) == 0
                                          : endpoint.path == r.path;
                if (fits && endpoint.method == r.method) {
                    r.tail = with_id ? r.path.substr(id) : "";
                    return kept.answer({endpoint, r, ttl_ns, k_patience_ns}, [&] {
                        return api().answer(endpoint, r, backend.host.reactor().now_ns());
                    });
                }
            }
        }
        throw Error{TENON_NOT_FOUND, "no endpoint for " + std::string{request}};
    }

    // The answer's body when it has this status; else the failure tells what came.
    boost::json::value ask(
        std::uint64_t account,
        std::string_view request,
        std::string body = {},
        std::uint32_t status = 200
    ) {
        const records::Answer answer = raw(account, request, std::move(body));
        if (answer.status != status) {
            throw Error{
                TENON_INTERNAL,
                std::string{request} + ": " + std::to_string(answer.status) + " " + answer.body};
        }
        return boost::json::parse(answer.body);
    }

    // Code and pointer of a refusal: "invalid /price".
    std::string refusal(std::uint64_t account, std::string_view request, std::string body = {}) {
        const records::Answer answer = raw(account, request, std::move(body));
        const boost::json::value json = boost::json::parse(answer.body);
        const boost::json::value* const error = json.as_object().if_contains("error");
        if (error == nullptr) {
            return "done: " + answer.body;
        }
        return std::string{error->at("code").as_string()} + " " +
               std::string{error->at("pointer").as_string()};
    }

    std::int64_t count(const std::string& table) {
        std::int64_t rows = 0;
        backend.storage().read(backend.deadline(), [&](Session& s) {
            auto statement = s.prepare("SELECT count(*) FROM " + table);
            (void)statement.step();
            rows = statement.integer(0);
        });
        return rows;
    }

    records::Api api() { return records::Api{backend.storage(), {k_patience_ns, secrets}}; }

    SchemaBackend backend;
    TemporaryFolder folder;
    std::optional<sealing::SecretBox> box{std::in_place, folder.path(), true};
    records::Secrets secrets{&*box, &sealing::SecretBox::table()};
    bool may_read = true, may_trade = true;
    records::KeptAnswers kept;  // without a cache, unless a test gives one
    std::int64_t ttl_ns = 0;
    std::int64_t now_ns = k_now_ns;
};

}  // namespace tenon::test
