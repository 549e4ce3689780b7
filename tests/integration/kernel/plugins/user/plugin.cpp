// SPDX-License-Identifier: Apache-2.0
// Needs test.base/1; asks for what it did not declare, which must be denied.
#include <tenon/plugin.hpp>

namespace {

struct Table {
    std::uint32_t size, flags;
};

class User final : public tenon::Plugin {
public:
    explicit User(const tenon_host* host) : Plugin{host} {
        static constexpr Table k_table{sizeof(Table), 0};
        provide("test.used/1", this, &k_table);
    }

    void configure(std::string_view, bool) override {
        (void)host().require<Table>("test.base/1");
        const auto services = host().service<tenon_services_1>("tenon.services/1");
        tenon_iface iface{};
        if (services->find(services.self, tenon::str("test.echo/1"), &iface) != TENON_DENIED) {
            throw tenon::Error{TENON_INTERNAL, "an undeclared interface was given out"};
        }
    }
};

}  // namespace

TENON_EXPORT_PLUGIN(User)
