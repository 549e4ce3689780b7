// SPDX-License-Identifier: Apache-2.0
// tenon.instruments/1 in C++. A provider derives from Instruments and calls
// provide<tenon::Instruments>(this) in the constructor; who only looks up uses InstrumentList.
#pragma once

#include <tenon/abi/instruments.h>
#include <tenon/plugin.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

namespace tenon {

// All [any]. Ids are dense from 0; what is given out is borrowed until stop.
class Instruments {
public:
    static constexpr std::string_view k_id = "tenon.instruments/1";

    [[nodiscard]] virtual std::uint32_t asset_count() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t instrument_count() const noexcept = 0;
    // NULL when the id is out of range.
    [[nodiscard]] virtual const tenon_asset* asset(std::uint32_t id) const noexcept = 0;
    [[nodiscard]] virtual const tenon_instrument* instrument(std::uint32_t id) const noexcept = 0;

    // Case-sensitive. Override them where there are many.
    [[nodiscard]] virtual std::optional<std::uint32_t> find_asset(std::string_view name) const {
        for (std::uint32_t id = 0; id < asset_count(); ++id) {
            if (view(asset(id)->name) == name) {
                return id;
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] virtual std::optional<std::uint32_t> find_instrument(std::string_view symbol
    ) const {
        for (std::uint32_t id = 0; id < instrument_count(); ++id) {
            if (view(instrument(id)->symbol) == symbol) {
                return id;
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] static const void* table(const Instruments&) noexcept {
        static constexpr tenon_instruments_1 k_table{
            sizeof(tenon_instruments_1),
            0,
            [](void* self) noexcept { return of(self).asset_count(); },
            [](void* self) noexcept { return of(self).instrument_count(); },
            [](void* self, std::uint32_t id) noexcept { return of(self).asset(id); },
            [](void* self, std::uint32_t id) noexcept { return of(self).instrument(id); },
            [](void* self, tenon_str name, std::uint32_t* id) noexcept {
                return guard(nullptr, [&] { return give(of(self).find_asset(view(name)), id); });
            },
            [](void* self, tenon_str symbol, std::uint32_t* id) noexcept {
                return guard(nullptr, [&] {
                    return give(of(self).find_instrument(view(symbol)), id);
                });
            }};
        return &k_table;
    }

protected:
    ~Instruments() = default;

private:
    static const Instruments& of(void* self) noexcept { return *static_cast<Instruments*>(self); }

    static tenon_status give(std::optional<std::uint32_t> found, std::uint32_t* id) noexcept {
        if (!found) {
            return TENON_NOT_FOUND;
        }
        *id = *found;
        return TENON_OK;
    }
};

// The assets and instruments of the server, to look up in. Made in start.
class InstrumentList {
public:
    InstrumentList() = default;

    explicit InstrumentList(const Host& host)
        : service_{host.require<tenon_instruments_1>("tenon.instruments/1")} {}

    [[nodiscard]] std::uint32_t size() const noexcept {
        return service_->instrument_count(service_.self);
    }

    // Throws Error TENON_NOT_FOUND.
    [[nodiscard]] const tenon_instrument& at(std::uint32_t id) const {
        const tenon_instrument* const found = service_->instrument(service_.self, id);
        if (found == nullptr) {
            throw Error{TENON_NOT_FOUND, "there is no instrument " + std::to_string(id)};
        }
        return *found;
    }

    // NULL when there is none.
    [[nodiscard]] const tenon_instrument* find(std::string_view symbol) const noexcept {
        std::uint32_t id = 0;
        return service_->find_instrument(service_.self, str(symbol), &id) == TENON_OK
                   ? service_->instrument(service_.self, id)
                   : nullptr;
    }

    [[nodiscard]] const tenon_asset* find_asset(std::string_view name) const noexcept {
        std::uint32_t id = 0;
        return service_->find_asset(service_.self, str(name), &id) == TENON_OK
                   ? service_->asset(service_.self, id)
                   : nullptr;
    }

private:
    Service<tenon_instruments_1> service_;
};

}  // namespace tenon
