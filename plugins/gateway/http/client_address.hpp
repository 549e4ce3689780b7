// SPDX-License-Identifier: Apache-2.0
// Who asks, when requests come through reverse proxies: each of them adds the address of its own
// peer at the end of X-Forwarded-For.
#pragma once

#include <tenon/abi/http.h>
#include <tenon/address_networks.hpp>

#include <span>
#include <string_view>

namespace tenon::http {

// Of the hops, from the server outwards, the first that is not `trusted`; the outermost when all
// are. What a client wrote itself stands before it and counts for nothing, nor does the header of a
// peer that is not trusted. At what is no address ("unknown") the way is lost: the hop before it.
// Borrows from `peer` or the headers.
[[nodiscard]] std::string_view client_address(
    std::string_view peer,
    std::span<const tenon_http_header> headers,
    const AddressNetworks& trusted
) noexcept;

}  // namespace tenon::http
