// SPDX-License-Identifier: Apache-2.0
#include "plugins/trading/records/api.hpp"

#include "plugins/trading/records/failure.hpp"
#include "plugins/trading/records/operations.hpp"
#include "plugins/trading/records/summaries.hpp"

namespace tenon::records {
namespace {

void add_resource(std::vector<Endpoint>& all, const Resource& resource) {
    const std::string path = "/api/" + std::string{resource.name};
    all.push_back(
        {"GET", path, Operation::list, &resource, resource.read, "Rows, newest first, by pages"}
    );
    all.push_back({"GET", path + "/{id}", Operation::get, &resource, resource.read, "One row"});
    if (resource.create != Right::none) {
        all.push_back({"POST", path, Operation::create, &resource, resource.create, "A new row"});
    }
    if (resource.change != Right::none) {
        all.push_back(
            {"PATCH",
             path + "/{id}",
             Operation::change,
             &resource,
             resource.change,
             "Changes what the body names"}
        );
    }
}

[[nodiscard]] std::vector<Endpoint> make_endpoints() {
    std::vector<Endpoint> all{
        {"GET",
         "/api/settings",
         Operation::settings_get,
         &k_settings,
         Right::read,
         "The caller's settings"},
        {"PUT",
         "/api/settings",
         Operation::settings_put,
         &k_settings,
         Right::trade,
         "Sets what the body names; with version only when nobody was faster"},
        {"GET",
         "/api/licenses/check",
         Operation::license_check,
         &k_licenses,
         Right::read,
         "Whether the caller has a licence of a type now"},
        {"POST",
         "/api/licenses",
         Operation::license_grant,
         &k_licenses,
         Right::admin,
         "Grants a licence or lets it last longer"},
        {"POST",
         "/api/promo-codes/redeem",
         Operation::promo_redeem,
         &k_promo_codes,
         Right::trade,
         "Redeems a promotion code, once for each user"},
        {"POST",
         "/api/payments",
         Operation::payment_book,
         &k_payments,
         Right::admin,
         "Books a payment, once for its idempotency key"},
        {"POST",
         "/api/exchange-credentials",
         Operation::credential_store,
         &k_credentials,
         Right::trade,
         "Seals and keeps the keys of an exchange; they are never shown again"},
        {"PATCH",
         "/api/exchange-credentials/{id}",
         Operation::credential_replace,
         &k_credentials,
         Right::trade,
         "New keys in place of those that are there"},
        {"DELETE",
         "/api/exchange-credentials/{id}",
         Operation::credential_delete,
         &k_credentials,
         Right::trade,
         "Deletes a credential"},
        {"GET",
         "/api/performance",
         Operation::summary,
         &k_performance,
         k_performance.read,
         "Results of closed trades by day, kind of account and currency, newest first, by pages"},
        {"GET",
         "/api/news-sentiment",
         Operation::summary,
         &k_news_sentiment,
         k_news_sentiment.read,
         "What news say by day and symbol, newest first, by pages"}};
    for (const Resource* resource :
         {&k_licenses,
          &k_promo_codes,
          &k_payments,
          &k_models,
          &k_signals,
          &k_predictions,
          &k_news,
          &k_trade_logs,
          &k_credentials}) {
        add_resource(all, *resource);
    }
    return all;
}

[[nodiscard]] bool is_write(Operation operation) noexcept {
    return operation != Operation::list && operation != Operation::summary &&
           operation != Operation::get && operation != Operation::settings_get &&
           operation != Operation::license_check;
}

void check_right(const Endpoint& endpoint, const Caller& caller) {
    const bool may = endpoint.right == Right::read    ? caller.may_read
                     : endpoint.right == Right::trade ? caller.may_trade
                     : is_write(endpoint.operation)   ? caller.may_trade && caller.is_admin
                                                      : caller.may_read && caller.is_admin;
    if (!may) {
        throw ApiFailure{
            403,
            "forbidden",
            endpoint.right == Right::admin ? "this is for administrators"
                                           : "the API key has no permission for this"};
    }
}

[[nodiscard]] std::int64_t id_of(const Request& request, const Resource& resource) {
    const auto id = whole_number(request.tail);
    if (!id) {
        throw not_found(resource.one);
    }
    return *id;
}

[[nodiscard]] Answer
create(Session& session, const Endpoint& endpoint, const Request& request, const User& user) {
    const Resource& resource = *endpoint.resource;
    Extra extra;
    if (!resource.stamp_column.empty()) {
        extra.columns[resource.stamp_column] = request.now_real_ns;
    }
    const std::int64_t id = insert_row(session, resource, user.id, request.object(), extra);
    return {201, get_row(session, resource, user, id)};
}

// One attempt inside a transaction.
[[nodiscard]] Answer attempt(
    Session& session,
    const Endpoint& endpoint,
    const Request& request,
    const User& user,
    const Secrets& secrets
) {
    const Resource& resource = *endpoint.resource;
    const std::int64_t now = request.now_real_ns;
    Parameters parameters{request.query};
    const auto body = [&] {
        parameters.finish();
        return request.object();
    };
    switch (endpoint.operation) {
        case Operation::list:
            return {200, list_rows(session, resource, user, parameters)};
        case Operation::summary:
            return {200, list_summary(session, resource, user, parameters)};
        case Operation::get:
            parameters.finish();
            return {200, get_row(session, resource, user, id_of(request, resource))};
        case Operation::create:
            parameters.finish();
            return create(session, endpoint, request, user);
        case Operation::change: {
            const std::int64_t id = id_of(request, resource);
            change_row(session, resource, user, id, body());
            return {200, get_row(session, resource, user, id)};
        }
        case Operation::settings_get:
            parameters.finish();
            return {200, get_settings(session, user)};
        case Operation::settings_put:
            return {200, put_settings(session, user, body(), now)};
        case Operation::license_check:
            return {200, check_license(session, user, parameters, now)};
        case Operation::license_grant:
            return {201, grant_license(session, body(), now)};
        case Operation::promo_redeem:
            return {201, redeem_promo(session, user, body(), now)};
        case Operation::payment_book:
            return {201, book_payment(session, body(), now)};
        case Operation::credential_store:
            return {201, store_credential(session, secrets, user, body(), now)};
        case Operation::credential_replace: {
            const std::int64_t id = id_of(request, resource);
            return {200, replace_credential(session, secrets, user, id, body(), now)};
        }
        case Operation::credential_delete:
            parameters.finish();
            return {200, delete_credential(session, user, id_of(request, resource))};
    }
    throw Error{TENON_INTERNAL, "an operation without code"};
}

}  // namespace

const std::vector<Endpoint>& endpoints() {
    static const std::vector<Endpoint> k_all = make_endpoints();
    return k_all;
}

Answer Api::run(const Endpoint& endpoint, const Request& request, std::int64_t deadline_ns) const {
    Answer answer;
    const auto work = [&](Session& session) {
        User user = user_of(session, request.caller);
        check_right(endpoint, request.caller);
        if (is_write(endpoint.operation)) {
            ensure_user(session, request.caller, user, request.now_real_ns);
        }
        answer = attempt(session, endpoint, request, user, options_.secrets);
    };
    if (is_write(endpoint.operation)) {
        storage_.write(deadline_ns, work);
    } else {
        storage_.read(deadline_ns, work);
    }
    return answer;
}

Answer Api::answer(const Endpoint& endpoint, const Request& request, std::int64_t now_ns) const {
    constexpr int k_attempts = 3;
    for (int attempts = 1;; ++attempts) {
        try {
            return run(endpoint, request, now_ns + options_.timeout_ns);
        } catch (const ApiFailure& failure) {
            return {failure.http_status(), failure.body()};
        } catch (const std::exception& error) {
            // Two who book with one key at one time: the second finds the row of the first.
            const auto* const storage = dynamic_cast<const StorageError*>(&error);
            const bool again =
                storage != nullptr &&
                (storage->retryable() || (endpoint.operation == Operation::payment_book &&
                                          storage->failure() == Failure::constraint));
            if (!again || attempts == k_attempts) {
                const ApiFailure failure = failure_of_storage(error);
                return {failure.http_status(), failure.body()};
            }
        }
    }
}

}  // namespace tenon::records
