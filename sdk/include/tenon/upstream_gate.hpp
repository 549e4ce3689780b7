// SPDX-License-Identifier: Apache-2.0
// The bound throttle (tenon.throttle/1) as a further budget of an Upstream: what the operator lets
// this server send, next to what the upstream lets its clients send. Shared by several servers when
// the throttle is one that is (throttle/redis).
//
//   tenon::ThrottleGate gate{host(), {"external_api", "exchange.example"}};
//
// The manifest asks for it: {"interface": "tenon.throttle/1", "optional": true}. With no throttle
// bound every request goes. An urgent request is charged when there is budget, and goes in any
// case.
#pragma once

#include <tenon/abi/throttle.h>
#include <tenon/plugin.hpp>
#include <tenon/upstream.hpp>

#include <optional>
#include <string>
#include <utility>

namespace tenon {

class ThrottleGate final : public UpstreamGate {
public:
    struct Names {
        std::string limit;  // of the throttle's settings; charged with the weight
        std::string key;    // the upstream; at most TENON_THROTTLE_KEY_MAX bytes
    };

    // Throws Error TENON_NOT_FOUND when the throttle has no such limit.
    ThrottleGate(const Host& host, Names names)
        : service_{host.find<tenon_throttle_1>("tenon.throttle/1")}, names_{std::move(names)} {
        if (service_ && service_->find(service_.self, str(names_.limit), &id_) != TENON_OK) {
            throw Error{TENON_NOT_FOUND, "the throttle has no limit " + names_.limit};
        }
    }

    ThrottleGate(const ThrottleGate&) = delete;
    ThrottleGate& operator=(const ThrottleGate&) = delete;

    [[nodiscard]] std::int64_t take(const OutboundRequest& request, std::int64_t now_ns) override {
        if (!service_ || request.cost.weight <= 0) {
            return 0;
        }
        const tenon_throttle_claim claim = claim_of(request);
        std::int64_t retry_ns = 0;
        const tenon_status status = service_->take(service_.self, &claim, 1, now_ns, &retry_ns);
        // A cost above the burst is never granted: ask again at leisure, until the deadline.
        return status == TENON_OK        ? 0
               : status == TENON_LIMITED ? std::max<std::int64_t>(retry_ns, 1)
                                         : k_never_ns;
    }

    void give_back(const OutboundRequest& request, std::int64_t now_ns) override {
        if (service_ && request.cost.weight > 0) {
            const tenon_throttle_claim claim = claim_of(request);
            service_->refund(service_.self, &claim, 1, now_ns);
        }
    }

    // Of the published limits by the level in force, for Upstream::set_share; nothing: no throttle
    // is bound, or the limit has a rate of its own.
    [[nodiscard]] std::optional<std::int64_t> share() const {
        if (!service_) {
            return std::nullopt;
        }
        StringSink level;
        if (service_->level(service_.self, str(names_.limit), level.sink(), nullptr) != TENON_OK) {
            return std::nullopt;
        }
        return share_of_level(level.text());
    }

private:
    static constexpr std::int64_t k_never_ns = 1'000'000'000;

    [[nodiscard]] tenon_throttle_claim claim_of(const OutboundRequest& request) const noexcept {
        const auto weight = std::min<std::int64_t>(request.cost.weight, UINT32_MAX);
        return {id_, static_cast<std::uint32_t>(weight), str(names_.key)};
    }

    Service<tenon_throttle_1> service_;
    Names names_;
    std::uint32_t id_ = 0;
};

}  // namespace tenon
