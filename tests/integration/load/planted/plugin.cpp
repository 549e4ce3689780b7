// SPDX-License-Identifier: Apache-2.0
// GET /planted reckons for as many steps as `steps` says, the same at each request, and answers
// {}: what a request costs is known, and may be made larger by a known part.
#include <tenon/http.hpp>
#include <tenon/plugin.hpp>
#include <tenon/settings.hpp>

#include <cstdint>
#include <memory>

namespace {

// Steps of SplitMix64 (Steele, Lea, Flood 2014), each of which needs the one before.
std::uint64_t reckon(std::uint64_t steps) {
    std::uint64_t z = steps;
    for (std::uint64_t i = 0; i < steps; ++i) {
        z += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        z ^= z >> 31;
    }
    return z;
}

class Planted final : public tenon::Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        const auto steps = tenon::Settings{json}.get<std::uint64_t>("steps");
        if (!dry_run) {
            steps_ = steps;
        }
    }

    void start() override {
        routes_ = std::make_unique<tenon::HttpRoutes>(
            host().require<tenon_http_routes_1>("tenon.http_routes/1")
        );
        routes_->mount("GET", "/planted", [this](const tenon_http_request& request) {
            // The compiler does not know that nobody asks for 0.
            const bool is_zero = reckon(steps_) == 0;
            (void)routes_->respond(
                request.handle, {is_zero ? 500U : 200U, "application/json", "{}", {}}
            );
        });
    }

    void stop() noexcept override {
        if (routes_) {
            routes_->clear();
        }
    }

private:
    std::unique_ptr<tenon::HttpRoutes> routes_;
    std::uint64_t steps_ = 0;
};

}  // namespace

TENON_EXPORT_PLUGIN(Planted)
