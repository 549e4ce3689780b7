// SPDX-License-Identifier: Apache-2.0
// The master keys in force: one that seals and, during a rotation, the one before, which still
// opens.
//
// Where they are:
//   the key      $CREDENTIALS_DIRECTORY/tenon-master-key, else DATA_DIR/master.key
//   the next one $CREDENTIALS_DIRECTORY/tenon-master-key-next, else DATA_DIR/master.key.next
//   retired ids  DATA_DIR/master.key.retired, one name a line; a retired file's key is kept as
//                DATA_DIR/master.key.retired-NAME, which nothing here reads
// A next key means that a rotation is under way: it seals, both open. The rotation ends with the
// old key's name in the list of retired ones, and for files with the next key in the old one's
// place. Each step is one rename, so whoever is killed in between finds the rotation where it was.
//
// Threads: one; SecretBox guards it.
#pragma once

#include "sdk/sealing/master_key.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::sealing {

struct Keys {
    std::shared_ptr<const MasterKey> current;   // seals and opens
    std::shared_ptr<const MasterKey> previous;  // opens; NULL when no rotation is under way
};

class KeyRing {
public:
    // A key is made where there is none and `first_start`. Throws Error when a key is missing later
    // on, not trusted (master_key.hpp), or retired.
    KeyRing(std::filesystem::path data_dir, bool first_start);

    [[nodiscard]] const Keys& keys() const noexcept { return keys_; }

    // Makes the next key, unless a rotation is under way. Throws Error TENON_CONFLICT when the key
    // is a credential, which systemd alone can change: the next one must be given as one too.
    void rotate();
    // Ends the rotation: the old key is retired. Throws Error TENON_CONFLICT when there is none.
    void finish();

    // Whether the next start needs other credentials than this one had, in words; "" when not.
    [[nodiscard]] const std::string& advice() const noexcept { return advice_; }

    [[nodiscard]] bool is_retired(std::string_view name) const;

private:
    [[nodiscard]] std::filesystem::path file(std::string_view name) const;
    void load(bool first_start);
    void read_retired();
    void retire(const std::string& name);
    void take_next();

    std::filesystem::path data_dir_;
    Keys keys_;
    std::vector<std::string> retired_;
    std::filesystem::path credential_, next_credential_;  // empty: there is none
    std::string advice_;
};

}  // namespace tenon::sealing
