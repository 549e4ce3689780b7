// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/instance.hpp"

#include "sdk/conformance/check.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>

namespace tenon::conformance {
namespace {

Answer answered(tenon_status status, const tenon_err& err) {
    Answer answer;
    answer.status = status;
    answer.err_code = err.code;
    answer.err_size = err.size;
    answer.err_len = err.len;
    if (status < 0) {
        answer.message.assign(err.msg, std::min<std::size_t>(err.len, sizeof err.msg));
    }
    return answer;
}

}  // namespace

std::string status_text(tenon_status status) {
    static constexpr std::string_view k_names[] = {
        "TENON_OK",
        "TENON_NOT_FOUND",
        "TENON_INVALID",
        "TENON_UNSUPPORTED",
        "TENON_UNAVAILABLE",
        "TENON_TIMEOUT",
        "TENON_CONFLICT",
        "TENON_DENIED",
        "TENON_CORRUPT",
        "TENON_INTERNAL",
        "TENON_IN_DOUBT"};
    if (status == TENON_PENDING) {
        return "TENON_PENDING";
    }
    const bool known = status <= 0 && status >= TENON_IN_DOUBT;
    return known ? std::string{k_names[-status]} : "status " + std::to_string(status);
}

std::string Answer::text() const {
    return status_text(status) + (message.empty() ? "" : ": " + message);
}

Instance::Instance(Reactor& reactor, const tenon_entry* entry, HostOptions options)
    : entry_{entry}, host_{reactor, std::move(options)} {}

Instance::~Instance() {
    if (plugin_ != nullptr) {
        if (state() == State::started || state() == State::draining) {
            stop();
        }
        destroy();
    }
}

template <class Call>
Answer Instance::answer_of(Call call) {
    ErrorBuffer own;
    tenon_err* const err = no_error_ ? nullptr : error_ != nullptr ? error_ : &own;
    const PluginScope scope;
    try {
        const tenon_status status = call(err);
        // What a check's own buffer holds is for the check to read.
        return err == &own ? answered(status, own) : Answer{status, "", 0, 0, 0, false};
    } catch (...) {
        return {TENON_INTERNAL, "an exception came out of the call", TENON_INTERNAL, 0, 0, true};
    }
}

Answer Instance::create() {
    host_.set_state(State::creating);
    Answer answer =
        answer_of([this](tenon_err* err) { return entry_->create(host_.raw(), &plugin_, err); });
    if (answer.ok() && (plugin_ == nullptr || plugin_->vt == nullptr)) {
        answer.status = TENON_INTERNAL;
        answer.message = "create answered TENON_OK and gave no plugin";
    }
    if (answer.ok()) {
        host_.set_state(State::created);
    } else {
        plugin_ = nullptr;
    }
    return answer;
}

Answer Instance::configure(std::string_view json, bool dry_run) {
    return configure(str(json), dry_run);
}

Answer Instance::configure(tenon_str json, bool dry_run) {
    const State before = state();
    if (before == State::created || before == State::stopped) {
        host_.set_state(State::configured);
    }
    if (!dry_run) {
        host_.set_config(std::string{view(json)}, false);
    }
    Answer answer = answer_of([&](tenon_err* err) {
        return plugin_->vt->configure(plugin_, json, dry_run ? 1 : 0, err);
    });
    if (!answer.ok() || dry_run) {
        host_.set_state(before);
    }
    return answer;
}

Answer Instance::start() {
    const State before = state();
    host_.set_state(State::started);
    Answer answer = answer_of([this](tenon_err* err) { return plugin_->vt->start(plugin_, err); });
    if (!answer.ok()) {
        host_.set_state(before);
    }
    return answer;
}

Answer Instance::drain(std::int64_t deadline_ns) {
    struct Wait {
        std::promise<tenon_status> done;
        std::atomic<bool> fired{false};
    };

    // Kept until the instance goes: done may come late, and wrongly inline or twice.
    const auto wait = std::make_shared<Wait>();
    drains_.push_back(wait);
    const auto fire = [](void* ctx, tenon_status status, const tenon_err*) {
        auto& mine = *static_cast<Wait*>(ctx);
        if (!mine.fired.exchange(true)) {
            mine.done.set_value(status);
        }
    };
    host_.set_state(State::draining);
    Answer answer;
    {
        const PluginScope scope;
        answer.status = plugin_->vt->drain(plugin_, deadline_ns, {wait.get(), fire});
    }
    if (answer.status != TENON_PENDING) {
        return answer;
    }
    const auto left = std::chrono::nanoseconds{deadline_ns - host_.reactor().now_ns()};
    auto fired = wait->done.get_future();
    if (fired.wait_for(left + std::chrono::seconds{1}) != std::future_status::ready) {
        answer.status = TENON_TIMEOUT;
        answer.message = "drain answered TENON_PENDING and its done never fired";
        return answer;
    }
    answer.status = fired.get();
    return answer;
}

void Instance::stop() {
    const PluginScope scope;
    plugin_->vt->stop(plugin_);
    host_.set_state(State::stopped);
}

void Instance::destroy() {
    host_.set_state(State::destroying);
    const PluginScope scope;
    plugin_->vt->destroy(plugin_);
    plugin_ = nullptr;
    host_.set_state(State::destroyed);
}

tenon_status Instance::query(std::string_view interface_id, tenon_iface* out) const {
    const PluginScope scope;
    return plugin_->vt->query(plugin_, str(interface_id), out);
}

tenon_iface Instance::iface(std::string_view interface_id) {
    tenon_iface iface{};
    if (query(interface_id, &iface) != TENON_OK || iface.vt == nullptr) {
        throw Abandoned{"the plugin does not give " + std::string{interface_id}};
    }
    return iface;
}

}  // namespace tenon::conformance
