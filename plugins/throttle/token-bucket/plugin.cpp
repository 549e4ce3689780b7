// SPDX-License-Identifier: Apache-2.0
// tenon.throttle.token-bucket: its settings; the rest is the glue of all throttles.
#include "plugins/throttle/token-bucket/token_buckets.hpp"

#include <tenon/throttle_plugin.hpp>

#include <string_view>

namespace tenon::token_bucket {
namespace {

class TokenBucketPlugin final : public ThrottlePlugin<TokenBuckets> {
public:
    using ThrottlePlugin::ThrottlePlugin;

    // The limits change at once, also while they are in use; keys_max counts for new ones.
    void configure(std::string_view json, bool dry_run) override {
        const auto wanted = read_throttle_limits(Settings{json});
        if (dry_run) {
            TokenBuckets{}.apply(wanted);
        } else {
            limits().apply(wanted);
            limits_changed();
        }
    }
};

}  // namespace
}  // namespace tenon::token_bucket

TENON_EXPORT_PLUGIN(tenon::token_bucket::TokenBucketPlugin)
