// SPDX-License-Identifier: Apache-2.0
// `tenon key rotate [--batch N] [--finish]`: drives a rotation of the master key that the server
// keeps the state of, so it may be killed anywhere and typed again.
//
// Without --finish: begins a rotation, or goes on with one, and has every secret sealed under the
// new key, batch by batch; the old key opens still. With --finish: what is left is sealed anew and
// the old key refused from then on; no rotation is begun.
#pragma once

#include "tools/cli/admin_client.hpp"

#include <boost/json/object.hpp>

namespace tenon::cli {

// {"ok","key","previous","rotating","advice","resealed","remaining","unreadable"}; ok: nothing is
// under the old key any more. Throws UsageError, CommandFailed, NoServer.
[[nodiscard]] boost::json::object
rotate_key(AdminClient& client, const boost::json::object& options);

}  // namespace tenon::cli
