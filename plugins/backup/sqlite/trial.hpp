// SPDX-License-Identifier: Apache-2.0
// Whether a restored database is whole.
#pragma once

#include <string>

namespace tenon::backup_sqlite {

// PRAGMA integrity_check and foreign_key_check, and that the balances of every asset add up to zero
// over all accounts, where there are balances. Throws Error TENON_CORRUPT with what is wrong.
void require_whole(const std::string& file);

}  // namespace tenon::backup_sqlite
