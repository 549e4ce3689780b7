// SPDX-License-Identifier: Apache-2.0
// The native API: which method on which path does what, for whom. Knows nothing of HTTP servers or
// threads; answer() blocks on the database.
#pragma once

#include "plugins/trading/records/credentials.hpp"
#include "plugins/trading/records/request.hpp"
#include "plugins/trading/records/resource.hpp"

#include <tenon/storage.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::records {

enum class Operation : std::uint8_t {
    list,
    summary,
    get,
    create,
    change,
    settings_get,
    settings_put,
    license_check,
    license_grant,
    promo_redeem,
    payment_book,
    credential_store,
    credential_replace,
    credential_delete
};

struct Endpoint {
    std::string_view method;
    std::string path;  // with "{id}" at its end where a row is named
    Operation operation;
    const Resource* resource;
    Right right;
    std::string_view summary;
};

// Every endpoint that is mounted, beside the document itself.
[[nodiscard]] const std::vector<Endpoint>& endpoints();

// The OpenAPI 3.1 document of the endpoints.
[[nodiscard]] std::string openapi_document(std::string_view version);

struct ApiOptions {
    std::int64_t timeout_ns = 0;
    Secrets secrets;  // seals exchange credentials
};

class Api {
public:
    Api(Storage storage, ApiOptions options) : storage_{storage}, options_{options} {}

    // [io] Never throws but for want of memory: failures are answers. `now_ns` is monotonic.
    [[nodiscard]] Answer
    answer(const Endpoint& endpoint, const Request& request, std::int64_t now_ns) const;

private:
    [[nodiscard]] Answer
    run(const Endpoint& endpoint, const Request& request, std::int64_t deadline_ns) const;

    Storage storage_;
    ApiOptions options_;
};

}  // namespace tenon::records
