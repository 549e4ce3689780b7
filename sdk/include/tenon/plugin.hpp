// SPDX-License-Identifier: Apache-2.0
// C++20 side of the plugin ABI: strings, errors, the exception guard, the host and the plugin base.
//
// A plugin is a class derived from tenon::Plugin and one TENON_EXPORT_PLUGIN line. Nothing here is
// shared with the host but the C tables of abi/: each plugin has its own copy of this code.
#pragma once

#include <tenon/abi/base.h>
#include <tenon/abi/host.h>
#include <tenon/structs.hpp>

// No <memory>, <algorithm>, <vector>, <functional>, <atomic>: they would double what every plugin
// pays here.
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tenon {

[[nodiscard]] inline tenon_str str(std::string_view s) noexcept {
    return {s.data(), s.size()};
}

[[nodiscard]] inline tenon_bytes bytes(std::string_view s) noexcept {
    return {s.data(), s.size()};
}

[[nodiscard]] inline std::string_view view(tenon_str s) noexcept {
    return {s.p, s.n};
}

[[nodiscard]] inline std::string_view view(tenon_bytes b) noexcept {
    return {static_cast<const char*>(b.p), b.n};
}

// An operation cannot go on. Context is added on the way up; what() never holds a secret.
class Error : public std::exception {
public:
    Error(tenon_status code, std::string message) : code_{code}, message_{std::move(message)} {}

    [[nodiscard]] tenon_status code() const noexcept { return code_; }

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

private:
    tenon_status code_;
    std::string message_;
};

// Bytes of the UTF-8 sequence at the start of a text that is not empty; 0 when there is none
// (RFC 3629).
[[nodiscard]] inline std::size_t utf8_sequence(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    const std::size_t length = lead < 0x80U                    ? 1
                               : lead >= 0xC2U && lead < 0xE0U ? 2
                               : lead >= 0xE0U && lead < 0xF0U ? 3
                               : lead >= 0xF0U && lead < 0xF5U ? 4
                                                               : 0;
    if (length < 2 || length > text.size()) {
        return length == 1 ? 1 : 0;
    }
    // Neither overlong, nor a surrogate, nor beyond U+10FFFF.
    const unsigned low = lead == 0xE0U ? 0xA0U : lead == 0xF0U ? 0x90U : 0x80U;
    const unsigned high = lead == 0xEDU ? 0x9FU : lead == 0xF4U ? 0x8FU : 0xBFU;
    if (byte(1) < low || byte(1) > high) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    return length;
}

// Writes the error, cut to what the caller has room for, and returns its code. What is not UTF-8 in
// the message becomes '?': it may quote what somebody sent.
inline tenon_status fail(
    tenon_err* err,
    tenon_status code,
    std::string_view message,
    std::uint32_t flags = 0
) noexcept {
    constexpr std::size_t k_head = offsetof(tenon_err, msg);
    if (err != nullptr && err->size >= k_head) {
        const std::size_t given = err->size - k_head;
        const std::size_t room = given < sizeof err->msg ? given : sizeof err->msg;
        std::size_t length = 0;
        while (!message.empty()) {
            const std::size_t valid = utf8_sequence(message);
            const std::size_t step = valid == 0 ? 1 : valid;
            if (length + step > room) {
                break;
            }
            std::memcpy(err->msg + length, valid == 0 ? "?" : message.data(), step);
            length += step;
            message.remove_prefix(step);
        }
        err->code = code;
        err->flags = flags;
        err->len = static_cast<std::uint32_t>(length);
    }
    return code;
}

// A tenon_err of one's own, for calling through a table.
struct ErrorBuffer : tenon_err {
    // The text is not cleared: half a kilobyte for every call that may fail.
    ErrorBuffer() noexcept {  // NOLINT(cppcoreguidelines-pro-type-member-init)
        size = sizeof(tenon_err);
        code = TENON_OK;
        flags = 0;
        len = 0;
        msg[0] = '\0';
    }

    [[nodiscard]] std::string_view message() const noexcept { return {msg, len}; }

    [[nodiscard]] bool retryable() const noexcept { return (flags & TENON_ERR_RETRYABLE) != 0; }
};

// Throws when a call through a table failed; gives back TENON_OK, TENON_PENDING.
inline tenon_status check(tenon_status status, const ErrorBuffer& err, std::string_view what) {
    if (status < 0) {
        std::string message{what};
        if (err.len != 0) {
            message.append(": ").append(err.message());
        } else {
            message.append(": status ").append(std::to_string(status));
        }
        throw Error{status, std::move(message)};
    }
    return status;
}

// The exception barrier: every function pointer that crosses the seam runs its body in here.
template <class Body>
tenon_status guard(tenon_err* err, Body&& body) noexcept {
    try {
        if constexpr (std::is_void_v<std::invoke_result_t<Body>>) {
            std::forward<Body>(body)();
            return TENON_OK;
        } else {
            return std::forward<Body>(body)();
        }
    } catch (const Error& e) {
        return fail(err, e.code(), e.what());
    } catch (const std::bad_alloc&) {
        return fail(err, TENON_UNAVAILABLE, "out of memory");
    } catch (const std::exception& e) {
        return fail(err, TENON_INTERNAL, e.what());
    } catch (...) {
        return fail(err, TENON_INTERNAL, "unknown exception");
    }
}

// An interface table with its object. `service->call(service.self, …)`.
template <class Table>
struct Service {
    void* self = nullptr;
    const Table* table = nullptr;

    [[nodiscard]] explicit operator bool() const noexcept { return table != nullptr; }

    [[nodiscard]] const Table* operator->() const noexcept { return table; }
};

template <class Table>
[[nodiscard]] Service<Table> service_from(tenon_iface iface) noexcept {
    return {iface.self, static_cast<const Table*>(iface.vt)};
}

// Collects what a call puts into a tenon_sink.
class StringSink {
public:
    [[nodiscard]] tenon_sink sink() noexcept { return {&text_, &put}; }

    [[nodiscard]] std::string& text() noexcept { return text_; }

private:
    static tenon_status put(void* ctx, tenon_bytes chunk) noexcept {
        return guard(nullptr, [&] { static_cast<std::string*>(ctx)->append(view(chunk)); });
    }

    std::string text_;
};

// One key=value of a log line. Numbers and booleans stay such in JSON.
class Field {
public:
    Field(std::string_view key, std::string_view value)
        : key_{key}, value_{value}, kind_{TENON_FIELD_TEXT} {}

    Field(std::string_view key, const char* value) : Field{key, std::string_view{value}} {}

    Field(std::string_view key, const std::string& value) : Field{key, std::string_view{value}} {}

    Field(std::string_view key, bool value)
        : key_{key}, value_{value ? "true" : "false"}, kind_{TENON_FIELD_NUMBER} {}

    template <class Number>

    requires std::is_arithmetic_v<Number> Field(std::string_view key, Number value)
        : key_{key}, kind_{TENON_FIELD_NUMBER} {
        std::array<char, 32> text{};
        value_.assign(
            text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr
        );
    }

    [[nodiscard]] tenon_log_field raw() const noexcept {
        return {str(key_), str(value_), kind_, 0};
    }

private:
    std::string_view key_;
    std::string value_;
    std::uint32_t kind_;
};

namespace detail {

// Sole owner of one object, or of an array: the part of std::unique_ptr that is wanted here.
template <class T>
class Owned {
public:
    explicit Owned(T* object) noexcept : object_{object} {}

    ~Owned() { delete object_; }

    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    [[nodiscard]] T* get() const noexcept { return object_; }

    [[nodiscard]] T* release() noexcept { return std::exchange(object_, nullptr); }

private:
    T* object_;
};

template <class T>
class Owned<T[]> {
public:
    explicit Owned(T* first) noexcept : first_{first} {}

    ~Owned() { delete[] first_; }

    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;

    [[nodiscard]] T* get() const noexcept { return first_; }

private:
    T* first_;
};

}  // namespace detail

// Structured log of one plugin. Thread-safe.
class Log {
public:
    Log() = default;

    explicit Log(Service<tenon_log_1> service) : service_{service} {}

    [[nodiscard]] bool enabled(std::int32_t level) const noexcept {
        return service_ && service_->enabled(service_.self, level) != 0;
    }

    void debug(std::string_view event, std::initializer_list<Field> fields = {}) const {
        write(TENON_LOG_DEBUG, event, fields);
    }

    void info(std::string_view event, std::initializer_list<Field> fields = {}) const {
        write(TENON_LOG_INFO, event, fields);
    }

    void warn(std::string_view event, std::initializer_list<Field> fields = {}) const {
        write(TENON_LOG_WARN, event, fields);
    }

    void error(std::string_view event, std::initializer_list<Field> fields = {}) const {
        write(TENON_LOG_ERROR, event, fields);
    }

private:
    void write(std::int32_t level, std::string_view event, std::initializer_list<Field> fields)
        const {
        if (!enabled(level)) {
            return;
        }
        std::array<tenon_log_field, 16> few;
        const detail::Owned<tenon_log_field[]> many{
            fields.size() > few.size() ? new tenon_log_field[fields.size()] : nullptr};
        tenon_log_field* const raw = many.get() != nullptr ? many.get() : few.data();
        std::uint32_t count = 0;
        for (const Field& field : fields) {
            raw[count++] = field.raw();
        }
        service_->write(service_.self, level, str(event), raw, count);
    }

    Service<tenon_log_1> service_;
};

// The host as C++ sees it. Host services are always there; other plugins' may be absent.
class Host {
public:
    explicit Host(const tenon_host* host) : host_{host} {}

    // A host service; throws Error when this host does not have it.
    template <class Table>
    [[nodiscard]] Service<Table> service(std::string_view id) const {
        tenon_iface iface{};
        if (host_->query(host_->self, str(id), &iface) != TENON_OK) {
            refuse(TENON_UNSUPPORTED, "the host has no ", id, "");
        }
        return service_from<Table>(iface);
    }

    // The plugin bound to a requirement of the manifest; empty when optional and absent.
    template <class Table>
    [[nodiscard]] Service<Table> find(std::string_view id) const {
        const auto services = service<tenon_services_1>("tenon.services/1");
        tenon_iface iface{};
        const tenon_status status = services->find(services.self, str(id), &iface);
        if (status == TENON_NOT_FOUND) {
            return {};
        }
        if (status != TENON_OK) {
            refuse(status, "service ", id, " is not in the manifest's requires");
        }
        return service_from<Table>(iface);
    }

    // The same for a requirement; throws Error when nothing is bound.
    template <class Table>
    [[nodiscard]] Service<Table> require(std::string_view id) const {
        const auto found = find<Table>(id);
        if (!found) {
            refuse(TENON_NOT_FOUND, "nothing is bound to ", id, "");
        }
        return found;
    }

    [[nodiscard]] Log log() const { return Log{service<tenon_log_1>("tenon.log/1")}; }

    // A value of tenon.environment/1, or an empty string.
    [[nodiscard]] std::string environment(std::string_view key) const {
        const auto environment = service<tenon_environment_1>("tenon.environment/1");
        tenon_str value{};
        return environment->get(environment.self, str(key), &value) == TENON_OK
                   ? std::string{view(value)}
                   : std::string{};
    }

    [[nodiscard]] const tenon_host* raw() const noexcept { return host_; }

private:
    [[noreturn, gnu::cold]] static void refuse(
        tenon_status status,
        std::string_view before,
        std::string_view id,
        std::string_view after
    ) {
        std::string message{before};
        message.append(id).append(after);
        throw Error{status, std::move(message)};
    }

    const tenon_host* host_;
};

namespace detail {

// What a host runs later with an Owned<Body> that was released to it.
template <class Body>
void run_owned(void* ctx) noexcept {
    const Owned<Body> mine{static_cast<Body*>(ctx)};
    (void)guard(nullptr, [&] { (*mine.get())(); });
}

}  // namespace detail

// Runs a callable once on a reactor. Throws Error when the queue is full.
template <class Body>
void post(Service<tenon_exec_1> exec, std::uint32_t reactor, Body body) {
    detail::Owned<Body> owned{new Body(std::move(body))};
    if (exec->post(exec.self, reactor, &detail::run_owned<Body>, owned.get()) != TENON_OK) {
        throw Error{TENON_UNAVAILABLE, "the reactor's queue is full"};
    }
    (void)owned.release();
}

// Runs a callable on the blocking pool. Throws Error when its queue is full.
template <class Body>
void run_blocking(Service<tenon_exec_1> exec, Body body) {
    detail::Owned<Body> owned{new Body(std::move(body))};
    if (exec->run_blocking(exec.self, &detail::run_owned<Body>, owned.get()) != TENON_OK) {
        throw Error{TENON_UNAVAILABLE, "the blocking pool's queue is full"};
    }
    (void)owned.release();
}

// Runs a callable on a reactor and waits for it; an exception comes back to the caller. For start
// and stop; never on a reactor.
template <class Body>
void call_on_reactor(Service<tenon_exec_1> exec, std::uint32_t reactor, Body body) {
    struct Call {
        Body body;
        std::exception_ptr failure;
    } call{std::move(body), nullptr};

    const auto run = [](void* ctx) noexcept {
        auto& mine = *static_cast<Call*>(ctx);
        try {
            mine.body();
        } catch (...) {
            mine.failure = std::current_exception();
        }
    };
    if (exec->call(exec.self, reactor, run, &call) != TENON_OK) {
        throw Error{TENON_UNAVAILABLE, "the reactor has stopped"};
    }
    if (call.failure) {
        std::rethrow_exception(call.failure);
    }
}

// Base of a plugin: override what is needed, call provide() in the constructor or in configure().
// Exceptions become a status with their message; control calls come one at a time.
class Plugin {
public:
    explicit Plugin(const tenon_host* host) : host_{host} {}

    virtual ~Plugin() {
        while (first_ != nullptr) {
            delete std::exchange(first_, first_->next);
        }
    }

    Plugin(const Plugin&) = delete;
    Plugin& operator=(const Plugin&) = delete;

    // `json` is validated and has all defaults. With dry_run: check only.
    virtual void configure(std::string_view json, bool dry_run) = 0;

    virtual void start() {}

    // Refuses new work and finishes what is in flight before the deadline.
    virtual void drain(std::int64_t deadline_ns) { (void)deadline_ns; }

    virtual void stop() noexcept {}

    [[nodiscard]] tenon_status query(std::string_view id, tenon_iface* out) const noexcept {
        for (const Provided* p = first_; p != nullptr; p = p->next) {
            if (p->id == id) {
                *out = p->iface;
                return TENON_OK;
            }
        }
        return TENON_UNSUPPORTED;
    }

protected:
    // Offers a contract by its facet (tenon::CacheTier, …), which this plugin or a member of it
    // derives from.
    template <class Facet>
    void provide(Facet* facet) {
        provide(Facet::k_id, facet, Facet::table(*facet));
    }

    // `id` is a literal; table and self live as long as the plugin.
    void provide(std::string_view id, void* self, const void* table) {
        auto* const added = new Provided{id, {self, table}, nullptr};
        (last_ != nullptr ? last_->next : first_) = added;
        last_ = added;
    }

    [[nodiscard]] const Host& host() const noexcept { return host_; }

private:
    // A list of one's own: <vector> is an eighth of what this header costs a compiler.
    struct Provided {
        std::string_view id;
        tenon_iface iface;
        Provided* next;
    };

    Host host_;
    Provided* first_ = nullptr;
    Provided* last_ = nullptr;
};

namespace detail {

template <class T>
struct PluginBox : tenon_plugin {
    explicit PluginBox(const tenon_host* host) : tenon_plugin{&k_table}, plugin{host} {}

    static T& of(tenon_plugin* p) noexcept { return static_cast<PluginBox*>(p)->plugin; }

    static tenon_status
    create(const tenon_host* host, tenon_plugin** out, tenon_err* err) noexcept {
        return guard(err, [&] { *out = new PluginBox(host); });
    }

    static tenon_status
    configure(tenon_plugin* p, tenon_str json, std::uint32_t dry_run, tenon_err* err) noexcept {
        return guard(err, [&] { of(p).configure(view(json), dry_run != 0); });
    }

    static tenon_status start(tenon_plugin* p, tenon_err* err) noexcept {
        return guard(err, [&] { of(p).start(); });
    }

    static tenon_status drain(tenon_plugin* p, std::int64_t deadline_ns, tenon_done) noexcept {
        return guard(nullptr, [&] { of(p).drain(deadline_ns); });
    }

    static void stop(tenon_plugin* p) noexcept { of(p).stop(); }

    static void destroy(tenon_plugin* p) noexcept { delete static_cast<PluginBox*>(p); }

    static tenon_status query(tenon_plugin* p, tenon_str id, tenon_iface* out) noexcept {
        return of(p).query(view(id), out);
    }

    static constexpr tenon_plugin_vt
        k_table{sizeof(tenon_plugin_vt), 0, &configure, &start, &drain, &stop, &destroy, &query};
    T plugin;
};

}  // namespace detail
}  // namespace tenon

// The plugin's entry. TENON_PLUGIN_ID and TENON_PLUGIN_VERSION come from plugin.json by
// tenon_add_plugin.
#define TENON_EXPORT_PLUGIN(Type)                                                               \
    extern "C" __attribute__((visibility("default"))) const tenon_entry* tenon_plugin_entry_v1( \
        void                                                                                    \
    ) {                                                                                         \
        static const tenon_entry entry{                                                         \
            TENON_MAGIC,                                                                        \
            sizeof(tenon_entry),                                                                \
            TENON_ABI_MAJOR,                                                                    \
            TENON_ABI_MINOR,                                                                    \
            0,                                                                                  \
            tenon::str(TENON_PLUGIN_ID),                                                        \
            tenon::str(TENON_PLUGIN_VERSION),                                                   \
            tenon::str(__VERSION__),                                                            \
            &tenon::detail::PluginBox<Type>::create};                                           \
        return &entry;                                                                          \
    }
