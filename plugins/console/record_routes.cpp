// SPDX-License-Identifier: Apache-2.0
#include "plugins/console/record_routes.hpp"

#include "plugins/console/records.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <memory>
#include <utility>

namespace tenon::console {
namespace {

using Read = boost::json::object (*)(const Storage&, const RecordPage&);

constexpr std::size_t k_symbol_max = 32;
constexpr int k_reading_max = 4;  // each holds a thread of the shared pool

class RecordRoutes : public std::enable_shared_from_this<RecordRoutes> {
public:
    RecordRoutes(Desk& desk, Storage storage, bool has_storage, std::int64_t timeout_ns)
        : desk_{desk}, storage_{storage}, has_storage_{has_storage}, timeout_ns_{timeout_ns} {}

    void read(const tenon_http_request& request, Read how) {
        const Sessions::Session& session = desk_.require(request, 0);
        if (!session.who.may(k_right_account) && !session.who.may(k_right_watch)) {
            throw forbidden("your role does not allow this");
        }
        if (!has_storage_) {
            throw Refusal{404, "absent", "not in this deployment"};
        }
        const RecordPage page = page_of(view(request.query));
        if (reading_.fetch_add(1) >= k_reading_max) {
            --reading_;
            throw busy();
        }
        desk_.in_flight().enter();
        try {
            run_blocking(
                desk_.services().exec,
                [self = shared_from_this(), page, how, handle = request.handle] {
                    self->on_pool(handle, page, how);
                }
            );
        } catch (const Error&) {
            --reading_;
            desk_.in_flight().leave();
            throw busy();
        }
    }

private:
    [[nodiscard]] RecordPage page_of(std::string_view query) const {
        RecordPage page;
        page.symbol = query_of(query, "symbol");
        const bool is_symbol = std::all_of(page.symbol.begin(), page.symbol.end(), [](char c) {
            return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        });
        if (page.symbol.size() > k_symbol_max || !is_symbol) {
            throw invalid("symbol: at most 32 of A-Z, 0-9, '_', '-'");
        }
        const std::string_view before = query_of(query, "before");
        const char* const end = before.data() + before.size();
        const auto [stop, error] = std::from_chars(before.data(), end, page.before_ms);
        if (!before.empty() && (error != std::errc{} || stop != end || page.before_ms < 1)) {
            throw invalid("before: milliseconds since 1970 expected");
        }
        page.deadline_ns = desk_.now_ns() + timeout_ns_;
        return page;
    }

    void on_pool(std::uint64_t request, const RecordPage& page, Read how) {
        std::string answer, failure;
        try {
            answer = boost::json::serialize(how(storage_, page));
        } catch (const std::exception& e) {
            failure = e.what();
        }
        --reading_;
        const tenon_status posted = guard(nullptr, [&] {
            post(desk_.services().exec, 0, [self = shared_from_this(), request, answer, failure] {
                self->desk_.settle(request, [&] { self->finish(request, answer, failure); });
                self->desk_.in_flight().leave();
            });
        });
        if (posted != TENON_OK) {
            desk_.in_flight().leave();
        }
    }

    void finish(std::uint64_t request, const std::string& answer, const std::string& failure) {
        if (!failure.empty()) {
            desk_.services().log.warn("console_records_unreadable", {{"reason", failure}});
            throw Refusal{503, "unavailable", "the database cannot be read now: try again later"};
        }
        desk_.answer_text(request, answer);
    }

    Desk& desk_;
    Storage storage_;
    bool has_storage_;
    std::int64_t timeout_ns_;
    std::atomic<int> reading_{0};
};

}  // namespace

void mount_record_routes(Desk& desk, Storage storage, bool has_storage, std::int64_t timeout_ns) {
    const auto routes = std::make_shared<RecordRoutes>(desk, storage, has_storage, timeout_ns);
    desk.mount("GET", "/api/console/news", [routes](const tenon_http_request& request) {
        routes->read(request, &read_news);
    });
    desk.mount("GET", "/api/console/signals", [routes](const tenon_http_request& request) {
        routes->read(request, &read_signals);
    });
}

}  // namespace tenon::console
