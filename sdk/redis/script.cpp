// SPDX-License-Identifier: Apache-2.0
#include "sdk/redis/script.hpp"

#include <array>
#include <openssl/evp.h>

namespace tenon::redis {

Script::Script(std::string source) : source_{std::move(source)} {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (EVP_Digest(source_.data(), source_.size(), digest.data(), &size, EVP_sha1(), nullptr) !=
        1) {
        throw Error{TENON_INTERNAL, "no SHA-1 for the script"};
    }
    static constexpr std::string_view k_digits{"0123456789abcdef"};
    for (unsigned i = 0; i < size; ++i) {
        sha_ += k_digits[digest[i] >> 4U];
        sha_ += k_digits[digest[i] & 15U];
    }
}

bool is_unknown_script(const Reply& reply) noexcept {
    return reply.is_error() && reply.text().starts_with("NOSCRIPT");
}

Words Script::words(
    bool whole,
    std::string_view key_count,
    const Words& keys,
    const Words& arguments
) const {
    Words words{whole ? "EVAL" : "EVALSHA", whole ? source_ : sha_, key_count};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    return words;
}

Answer Script::call(Client& client, const Words& keys, const Words& arguments) const {
    const std::string count = std::to_string(keys.size());
    Answer answer = client.call(words(false, count, keys, arguments));
    return is_unknown_script(answer.reply()) ? client.call(words(true, count, keys, arguments))
                                             : std::move(answer);
}

}  // namespace tenon::redis
