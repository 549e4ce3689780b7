// SPDX-License-Identifier: Apache-2.0
// The bench over the kit's context.
#include "sdk/conformance/allocation.hpp"
#include "sdk/conformance/context.hpp"
#include "sdk/conformance/hot_path.hpp"
#include "sdk/conformance/suites/suites.hpp"

#include <algorithm>
#include <chrono>

namespace tenon::suites {
namespace {

using conformance::Answer;
using conformance::Context;

class Opened final : public Instance {
public:
    explicit Opened(conformance::Instance& instance) : instance_{instance} {}

    ~Opened() override {
        const auto state = instance_.state();
        if (state == conformance::State::started || state == conformance::State::draining) {
            instance_.stop();
        }
        instance_.destroy();
    }

    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;

    [[nodiscard]] tenon_iface query(std::string_view interface_id) const override {
        tenon_iface iface{};
        expect(
            instance_.query(interface_id, &iface) == TENON_OK,
            "the plugin does not give ",
            interface_id
        );
        return iface;
    }

    [[nodiscard]] bool provides(std::string_view interface_id) const override {
        tenon_iface iface{};
        return instance_.query(interface_id, &iface) == TENON_OK;
    }

    void drain(std::int64_t deadline_ns) override { (void)instance_.drain(deadline_ns); }

    void stop() override { instance_.stop(); }

    void start() override {
        const Answer answer = instance_.start();
        expect(answer.ok(), "start: ", answer.text());
    }

private:
    conformance::Instance& instance_;
};

class ContextBench final : public Bench {
public:
    explicit ContextBench(Context& context) : context_{context}, seed_{context.random().next()} {}

    [[nodiscard]] std::uint64_t seed() const override { return seed_; }

    [[nodiscard]] bool asks_for(std::string_view interface_id) const override {
        const auto& all = context_.manifest().requirements;
        return std::any_of(all.begin(), all.end(), [&](const auto& requirement) {
            return requirement.interface_id == interface_id;
        });
    }

    [[nodiscard]] bool provides(std::string_view interface_id) const override {
        return context_.manifest().offers(interface_id);
    }

    void bind(std::string_view interface_id, tenon_iface iface) override {
        context_.bind(std::string{interface_id}, iface);
    }

    [[nodiscard]] std::unique_ptr<Instance> open() override {
        return std::make_unique<Opened>(context_.started());
    }

    void on_reactor(const std::function<void()>& body) override { context_.on_reactor(body); }

    void settle(int turns) override {
        for (int i = 0; i < turns; ++i) {
            context_.on_reactor([] {});
        }
    }

    void advance(std::int64_t duration_ns) override { context_.reactor().advance(duration_ns); }

    [[nodiscard]] std::int64_t now_ns() const override { return context_.reactor().now_ns(); }

    [[nodiscard]] std::int64_t now_real_ns() const override {
        return std::chrono::system_clock::now().time_since_epoch().count();
    }

    // As the context calls it.
    [[nodiscard]] std::string instance_name() const override { return "checked"; }

    [[nodiscard]] std::string data_dir() const override { return context_.folder().string(); }

    [[nodiscard]] bool wait(const std::function<bool()>& done, std::int64_t at_most_ns) override {
        return context_.eventually(
            done, std::chrono::ceil<std::chrono::milliseconds>(std::chrono::nanoseconds{at_most_ns})
        );
    }

    void in_parallel(std::size_t threads, const std::function<void(std::size_t)>& body) override {
        Context::in_parallel(threads, body);
    }

    [[nodiscard]] std::string system_call_of(const std::function<void()>& body) override {
        const conformance::HotPath path = conformance::watch_hot_path(body);
        if (!path.system_calls_known) {
            throw NotApplicable{"this system cannot tell system calls (Linux 5.11, x86-64)"};
        }
        return path.system_calls == 0 ? std::string{}
                                      : text("system call number ", path.first_system_call);
    }

    [[nodiscard]] std::int64_t allocations_of(const std::function<void()>& body) override {
        if (!conformance::allocation_hook()) {
            return -1;
        }
        const conformance::PluginScope scope;
        const std::uint64_t before = conformance::allocations();
        body();
        return static_cast<std::int64_t>(conformance::allocations() - before);
    }

    void warn(std::string message) override { context_.warn(std::move(message)); }

private:
    Context& context_;
    std::uint64_t seed_;
};

}  // namespace

void run_on_bench(Context& context, void (*body)(Bench&)) {
    ContextBench bench{context};
    try {
        body(bench);
    } catch (const Breach& breach) {
        context.fail(breach.what());
    } catch (const NotApplicable& reason) {
        Context::skip(reason.what());
    }
}

}  // namespace tenon::suites
