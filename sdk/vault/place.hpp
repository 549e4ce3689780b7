// SPDX-License-Identifier: Apache-2.0
// Where pieces are kept: whole objects by name, each no bigger than k_object_bytes_max, so that
// memory is bounded and no upload has parts. One thread at a time, but for cancel() and allow().
#pragma once

#include "sdk/capture/format.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::vault {

using capture::Bytes;
using capture::View;

// With the head of a piece and what encryption adds.
inline constexpr std::size_t k_object_bytes_max = std::size_t{20} << 20U;

struct Object {
    std::string name;
    std::uint64_t bytes = 0;
};

// Names are parts of [A-Za-z0-9_-][A-Za-z0-9._-]* with '/' between; at most 512 bytes.
// All throw Error: TENON_UNAVAILABLE (no room, not reachable, cancelled), TENON_DENIED,
// TENON_TIMEOUT, TENON_INVALID (a name, or too big); the message says what and where, no secret.
class Place {
public:
    Place() = default;
    virtual ~Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // The object is there, whole and safe, when it returns; otherwise whatever was there before.
    virtual void put(const std::string& name, View bytes) = 0;
    // Throws TENON_NOT_FOUND.
    [[nodiscard]] virtual Bytes get(const std::string& name) = 0;
    // Those whose name begins with `prefix`, which is empty or ends with '/', sorted by name.
    [[nodiscard]] virtual std::vector<Object> list(const std::string& prefix) = 0;
    // Bytes of an object; nothing when it is not there.
    [[nodiscard]] virtual std::optional<std::uint64_t> size(const std::string& name) = 0;
    // No error when it is not there.
    virtual void remove(const std::string& name) = 0;

    // Removes what runs that were killed have left of objects that were not finished.
    virtual void sweep() {}

    // For people: where the object is.
    [[nodiscard]] virtual std::string where(const std::string& name) const = 0;

    // [any] Work under way throws TENON_UNAVAILABLE soon after, and so does what comes, until
    // allow().
    void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }

    void allow() noexcept { cancelled_.store(false, std::memory_order_relaxed); }

    [[nodiscard]] bool is_cancelled() const noexcept {
        return cancelled_.load(std::memory_order_relaxed);
    }

    void require_going_on() const;

private:
    std::atomic<bool> cancelled_{false};
};

// Throws TENON_INVALID.
void require_name(std::string_view name);
void require_size(const std::string& name, std::size_t bytes);

}  // namespace tenon::vault
