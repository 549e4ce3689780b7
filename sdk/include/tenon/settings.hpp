// SPDX-License-Identifier: Apache-2.0
// A plugin's settings as a typed struct, and such a struct that changes while it is being read.
//
//   struct Limits {
//       explicit Limits(const tenon::Settings& s)
//           : ttl{s.get<std::chrono::milliseconds>("ttl_ms")},
//           names{s.get<std::vector<std::string>>("names")} {}
//       std::chrono::milliseconds ttl;
//       std::vector<std::string> names;
//   };
//   tenon::Live<Limits> limits_;
//
//   void configure(std::string_view json, bool dry_run) override { limits_.configure(json,
//   dry_run); } …                                                               limits_->ttl
//
// What is checked across settings is checked in the struct's constructor, which throws Error: the
// change is then refused and the old values stay. The host has validated the JSON and filled in the
// defaults, so get() fails only where manifest and plugin disagree; the error names the pointer.
#pragma once

#include <tenon/assert.hpp>
#include <tenon/json.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tenon {

class Settings;

namespace detail {

template <class T>
struct SettingReader;

}  // namespace detail

// An object of the configuration. Cheap to copy; keeps the document alive.
class Settings {
public:
    // Throws Error TENON_INVALID when `json` is not an object.
    explicit Settings(std::string_view json)
        : root_{std::make_shared<const Json>(Json::parse(json))}, at_{root_.get()} {
        (void)object();
    }

    [[nodiscard]] bool has(std::string_view key) const noexcept {
        return at_->find(key) != nullptr;
    }

    // bool, an integer type, double, std::string, a std::chrono::duration (counted in its own
    // unit), std::optional (absent or null), std::vector, std::map<std::string, …>, Settings (an
    // inner object), or a type with a constructor from Settings. Throws Error TENON_INVALID.
    template <class T>
    [[nodiscard]] T get(std::string_view key) const {
        return detail::SettingReader<T>::read(member(key));
    }

    template <class T>
    [[nodiscard]] T get(std::string_view key, T fallback) const {
        return has(key) ? get<T>(key) : std::move(fallback);
    }

    // "" for the whole configuration.
    [[nodiscard]] const std::string& pointer() const noexcept { return pointer_; }

    [[nodiscard]] const Json& json() const noexcept { return *at_; }

    // The same document at an element of this object or array.
    [[nodiscard]] Settings element(const Json* at, std::string_view name) const {
        return Settings{root_, at, pointer_ + "/" + std::string{name}};
    }

    [[nodiscard]] const Json& object() const {
        if (!at_->is(Json::Kind::object)) {
            refuse("expected an object");
        }
        return *at_;
    }

    [[noreturn]] void refuse(std::string_view what) const {
        throw Error{TENON_INVALID, "setting " + pointer_ + ": " + std::string{what}};
    }

private:
    Settings(std::shared_ptr<const Json> root, const Json* at, std::string pointer)
        : root_{std::move(root)}, at_{at}, pointer_{std::move(pointer)} {}

    [[nodiscard]] Settings member(std::string_view key) const {
        static const Json k_null;
        const Json* const found = at_->find(key);
        return element(found != nullptr ? found : &k_null, key);
    }

    std::shared_ptr<const Json> root_;
    const Json* at_;
    std::string pointer_;
};

namespace detail {

template <class Body>
auto setting_value(const Settings& at, Body&& body) {
    try {
        return body(at.json());
    } catch (const Error& e) {
        at.refuse(e.what());
    }
}

template <class T>
struct SettingReader {
    static T read(const Settings& at) {
        if constexpr (std::same_as<T, bool>) {
            return setting_value(at, [](const Json& json) { return json.boolean(); });
        } else if constexpr (std::integral<T>) {
            return setting_value(at, [](const Json& json) { return json.integer<T>(); });
        } else if constexpr (std::same_as<T, double>) {
            return setting_value(at, [](const Json& json) { return json.real(); });
        } else if constexpr (std::same_as<T, std::string>) {
            return setting_value(at, [](const Json& json) { return json.text(); });
        } else if constexpr (std::same_as<T, Settings>) {
            (void)at.object();
            return at;
        } else {
            static_assert(std::constructible_from<T, const Settings&>, "no way to read this type");
            (void)at.object();
            return T{at};
        }
    }
};

template <class Rep, class Period>
struct SettingReader<std::chrono::duration<Rep, Period>> {
    static std::chrono::duration<Rep, Period> read(const Settings& at) {
        return std::chrono::duration<Rep, Period>{SettingReader<Rep>::read(at)};
    }
};

template <class T>
struct SettingReader<std::optional<T>> {
    static std::optional<T> read(const Settings& at) {
        return at.json().is(Json::Kind::null) ? std::optional<T>{} : SettingReader<T>::read(at);
    }
};

template <class T>
struct SettingReader<std::vector<T>> {
    static std::vector<T> read(const Settings& at) {
        if (!at.json().is(Json::Kind::array)) {
            at.refuse("expected an array");
        }
        std::vector<T> values;
        for (const Json& item : at.json().items()) {
            values.push_back(SettingReader<T>::read(at.element(&item, std::to_string(values.size()))
            ));
        }
        return values;
    }
};

template <class T>
struct SettingReader<std::map<std::string, T>> {
    static std::map<std::string, T> read(const Settings& at) {
        std::map<std::string, T> values;
        const Json& object = at.object();
        for (std::size_t i = 0; i < object.keys().size(); ++i) {
            const std::string& key = object.keys()[i];
            values.emplace(key, SettingReader<T>::read(at.element(&object.items()[i], key)));
        }
        return values;
    }
};

}  // namespace detail

// A value that is replaced whole while others read it. Readers take no lock, make no system call
// and never wait: two atomic additions. The writer never waits for readers either; it keeps one
// more version for each that is still held, and frees them at a later change. T is constructible
// from Settings, or published as a value.
template <class T>
class Live {
    struct Version {
        std::atomic<std::uint32_t> readers{0};
        std::optional<T> value;
    };

public:
    // One consistent version, for as long as this lives. Keep it short.
    class Reading {
    public:
        explicit Reading(Version* version) noexcept : version_{version} {}

        Reading(Reading&& other) noexcept : version_{std::exchange(other.version_, nullptr)} {}

        Reading(const Reading&) = delete;
        Reading& operator=(const Reading&) = delete;
        Reading& operator=(Reading&&) = delete;

        ~Reading() {
            if (version_ != nullptr) {
                version_->readers.fetch_sub(1, std::memory_order_release);
            }
        }

        [[nodiscard]] const T& operator*() const noexcept { return *version_->value; }

        [[nodiscard]] const T* operator->() const noexcept { return &*version_->value; }

    private:
        Version* version_;
    };

    Live() = default;
    Live(const Live&) = delete;
    Live& operator=(const Live&) = delete;

    // [control] Reads the configuration; without dry_run it counts from now on. Throws what T's
    // constructor throws, and then changes nothing.
    void configure(std::string_view json, bool dry_run) {
        T next{Settings{json}};
        if (!dry_run) {
            publish(std::move(next));
        }
    }

    // [any] One writer after the other.
    void publish(T next) {
        const std::lock_guard lock{mutex_};
        Version* const current = current_.load();
        Version* free = nullptr;
        for (const auto& version : versions_) {
            if (version.get() != current && version->readers.load() == 0) {
                version->value.reset();
                free = version.get();
            }
        }
        if (free == nullptr) {
            free = versions_.emplace_back(std::make_unique<Version>()).get();
        }
        free->value.emplace(std::move(next));
        current_.store(free);
    }

    // [nonblock] After the first configure or publish.
    [[nodiscard]] Reading read() const noexcept {
        while (true) {
            Version* const version = current_.load();
            TENON_ASSERT(version != nullptr);
            // A version is reused only when nobody reads it and it is not current. So either the
            // writer sees this addition, or the second look sees that the version has changed.
            version->readers.fetch_add(1);
            if (current_.load() == version) {
                return Reading{version};
            }
            version->readers.fetch_sub(1);
        }
    }

    // [nonblock] For one value: `limits->ttl`. What it points to is valid within the expression.
    [[nodiscard]] Reading operator->() const noexcept { return read(); }

    [[nodiscard]] bool empty() const noexcept { return current_.load() == nullptr; }

private:
    std::mutex mutex_;  // of writers
    std::vector<std::unique_ptr<Version>> versions_;
    std::atomic<Version*> current_{nullptr};
};

}  // namespace tenon
