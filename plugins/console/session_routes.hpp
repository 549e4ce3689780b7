// SPDX-License-Identifier: Apache-2.0
// /api/console/session: GET who is signed in, POST sign in, DELETE sign out. By the name and
// password of a local user, or by an API key and its secret (HMAC keys): the server signs a random
// text with the secret and has tenon.auth/1 check it, then forgets it. Or by an API key and a
// signature of it, with the private key of an Ed25519 one, over what GET /api/console/challenge
// gave (challenges.hpp).
// /api/console/password: POST {"old","new"} changes one's own; all sessions of that user end, and
// the answer opens a new one.
#pragma once

#include "plugins/console/desk.hpp"
#include "plugins/console/users.hpp"

#include <functional>

namespace tenon::console {

struct SignInOptions {
    const UserStore* users = nullptr;  // NULL: no local users, there is no storage
    std::int64_t timeout_ns = 0;
    std::function<std::int64_t()> now_real_ns = {};
};

// [control]
void mount_session_routes(Desk& desk, SignInOptions options);

}  // namespace tenon::console
