// SPDX-License-Identifier: Apache-2.0
// Many flows of control on one thread, switched where they ask for it, in an order that a seed
// decides: a concurrent history that repeats exactly. No flow may hold a lock or be in a catch
// block when it gives way. Under the sanitizers they are told of each switch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <ucontext.h>
#include <utility>
#include <vector>

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#elif defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace tenon::test {

class Fibers {
public:
    explicit Fibers(std::uint64_t seed) : random_{seed} {
#if defined(__SANITIZE_THREAD__)
        main_.tsan = __tsan_get_current_fiber();
#endif
    }

    ~Fibers() {
#if defined(__SANITIZE_THREAD__)
        for (const auto& fiber : free_) {
            __tsan_destroy_fiber(fiber->tsan);
        }
#endif
    }

    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;

    // From outside or from another flow.
    void spawn(std::function<void()> body) {
        std::unique_ptr<Fiber> fiber;
        if (free_.empty()) {
            fiber = std::make_unique<Fiber>();
            make(*fiber);
        } else {
            fiber = std::move(free_.back());
            free_.pop_back();
        }
        fiber->body = std::move(body);
        ready_.push_back(std::move(fiber));
    }

    // Runs one of them until it gives way. False: there is none.
    bool step() {
        if (ready_.empty()) {
            return false;
        }
        std::swap(ready_[random_() % ready_.size()], ready_.back());
        running_ = std::move(ready_.back());
        ready_.pop_back();
        Fiber& fiber = *running_;
        change(main_, fiber);
        (fiber.body ? ready_ : free_).push_back(std::move(running_));
        return true;
    }

    // Of the running flow: others may go on first.
    void give_way() {
        change(*running_, main_);
    }

    [[nodiscard]] bool inside() const noexcept {
        return running_ != nullptr;
    }

    [[nodiscard]] std::size_t count() const noexcept {
        return ready_.size();
    }

    [[nodiscard]] std::mt19937_64& random() noexcept {
        return random_;
    }

private:
    static constexpr std::size_t k_stack_bytes = 256 * 1024;

    struct Fiber {
        ucontext_t context{};
        std::vector<char> stack;
        std::function<void()> body;
        void* tsan = nullptr;
        void* asan = nullptr;
    };

    // Apart from spawn: what a function has in registers is not safe over getcontext, which returns
    // twice as far as the compiler knows.
    [[gnu::noinline]] void make(Fiber& fiber) {
        fiber.stack.resize(k_stack_bytes);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = fiber.stack.size();
        fiber.context.uc_link = nullptr;
        const auto raw = reinterpret_cast<std::uintptr_t>(this);
        makecontext(
            &fiber.context,
            reinterpret_cast<void (*)()>(&Fibers::enter),
            2,
            static_cast<unsigned>(raw >> 32),
            static_cast<unsigned>(raw & 0xffff'ffffU)
        );
#if defined(__SANITIZE_THREAD__)
        fiber.tsan = __tsan_create_fiber(0);
#endif
    }

    static void enter(unsigned high, unsigned low) {
        auto& self = *reinterpret_cast<Fibers*>(
            (static_cast<std::uintptr_t>(high) << 32) | static_cast<std::uintptr_t>(low)
        );
        self.arrived(*self.running_);
        for (;;) {  // a flow that has ended is used again
            self.running_->body();
            self.running_->body = nullptr;
            self.give_way();
        }
    }

    void change(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_THREAD__)
        __tsan_switch_to_fiber(to.tsan, 0);
#elif defined(__SANITIZE_ADDRESS__)
        __sanitizer_start_switch_fiber(
            &from.asan,
            &to == &main_ ? main_bottom_ : to.stack.data(),
            &to == &main_ ? main_size_ : to.stack.size()
        );
#endif
        swapcontext(&from.context, &to.context);
        arrived(from);
    }

    void arrived([[maybe_unused]] Fiber& at) {
#if defined(__SANITIZE_ADDRESS__)
        const void* bottom = nullptr;
        std::size_t size = 0;
        __sanitizer_finish_switch_fiber(at.asan, &bottom, &size);
        if (&at != &main_) {
            main_bottom_ = bottom;
            main_size_ = size;
        }
#endif
    }

    Fiber main_;
    const void* main_bottom_ = nullptr;
    std::size_t main_size_ = 0;
    std::mt19937_64 random_;
    std::vector<std::unique_ptr<Fiber>> ready_, free_;
    std::unique_ptr<Fiber> running_;
};

}  // namespace tenon::test
