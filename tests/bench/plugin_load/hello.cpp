// SPDX-License-Identifier: Apache-2.0
// The smallest plugin that says something: what the SDK's headers alone cost a compiler.
#include <tenon/plugin.hpp>

class Hello final : public tenon::Plugin {
public:
    explicit Hello(const tenon_host* host) : Plugin{host} {}

    void configure(std::string_view, bool) override {}

    void start() override { host().log().info("hello_started"); }
};

TENON_EXPORT_PLUGIN(Hello)
