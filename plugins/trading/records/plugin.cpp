// SPDX-License-Identifier: Apache-2.0
// Mounts the native API: signatures on the reactor, SQL on the blocking pool, answers on the
// reactor again.
#include "plugins/trading/records/api.hpp"
#include "plugins/trading/records/digest.hpp"
#include "plugins/trading/records/failure.hpp"
#include "plugins/trading/records/flags.hpp"
#include "plugins/trading/records/kept_answers.hpp"
#include "plugins/trading/records/replays.hpp"

#include <tenon/abi/auth.h>
#include <tenon/admin.hpp>
#include <tenon/auth.hpp>
#include <tenon/http.hpp>
#include <tenon/in_flight.hpp>
#include <tenon/metrics.hpp>
#include <tenon/settings.hpp>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

namespace tenon::records {
namespace {

constexpr std::int64_t k_ns_per_ms = 1'000'000;

struct Limits {
    explicit Limits(const Settings& s)
        : request_timeout_ms{s.get<std::int64_t>("request_timeout_ms")},
          concurrency{s.get<std::uint32_t>("concurrency")},
          requests_max{s.get<std::uint32_t>("requests_max")},
          receive_window_ms{s.get<std::int64_t>("receive_window_ms")},
          body_max_bytes{s.get<std::size_t>("body_max_bytes")},
          replays_max{s.get<std::size_t>("replays_max")},
          cache_ms{s.get("cache_ms", std::int64_t{0})} {}

    std::int64_t request_timeout_ms;
    std::uint32_t concurrency;
    std::uint32_t requests_max;
    std::int64_t receive_window_ms;
    std::size_t body_max_bytes, replays_max;
    std::int64_t cache_ms;
};

[[nodiscard]] std::string_view header(const tenon_http_request& request, std::string_view name) {
    for (std::uint32_t i = 0; i < request.header_count; ++i) {
        if (view(request.headers[i].name) == name) {
            return view(request.headers[i].value);
        }
    }
    return {};
}

class RecordsPlugin final : public Plugin {
public:
    using Plugin::Plugin;

    void configure(std::string_view json, bool dry_run) override {
        limits_.configure(json, dry_run);
    }

    void start() override {
        exec_ = host().service<tenon_exec_1>("tenon.exec/1");
        clock_ = host().service<tenon_clock_1>("tenon.clock/1");
        auth_ = host().require<tenon_auth_1>("tenon.auth/1");
        storage_ = Storage{host().require<tenon_storage_1>("tenon.storage/1")};
        secrets_ = host().service<tenon_secret_1>("tenon.secret/1");
        kept_ = KeptAnswers{Cache{host()}};
        const Metrics metrics{host()};
        requests_ = metrics.counter("tenon_records_requests_total", "Requests of the native API");
        failures_ = metrics.counter("tenon_records_failures_total", "Requests that failed inside");
        refused_ = metrics.counter(
            "tenon_records_refused_total", "Requests refused for their signature or for overload"
        );
        duration_ = metrics.histogram(
            "tenon_records_request_duration_seconds", "From the request to its answer"
        );
        document_ = openapi_document(host().environment("version"));
        routes_ =
            std::make_unique<HttpRoutes>(host().require<tenon_http_routes_1>("tenon.http_routes/1")
            );
        routes_->mount("GET", "/api/openapi.json", [this](const tenon_http_request& request) {
            (void)routes_->respond(request.handle, {200, "application/json", document_});
        });
        for (const Endpoint& endpoint : endpoints()) {
            mount(endpoint);
        }
        mount_flags();
        add_commands();
    }

    void stop() noexcept override {
        commands_.clear();
        if (routes_) {
            routes_->clear();
            (void)guard(nullptr, [this] {
                call_on_reactor(exec_, 0, [this] {
                    if (line_) {
                        line_->close();  // who waits is answered
                    }
                });
            });
            in_flight_.wait();
            (void)guard(nullptr, [this] {
                call_on_reactor(exec_, 0, [this] { exec_->cancel_timer(exec_.self, timer_); });
            });
            flags_.reset();
            line_.reset();
            routes_.reset();
        }
    }

private:
    // A request that waits for a worker.
    struct Job {
        const Endpoint* endpoint = nullptr;
        std::shared_ptr<Request> request;
        std::uint64_t handle = 0;
        ApiOptions options;
        std::int64_t begin_ns = 0;  // when it arrived

        [[nodiscard]] std::int64_t due_ns() const { return begin_ns + options.timeout_ns; }
    };

    void add_commands() {
        commands_.open(host());
        commands_.add(
            "credentials.reseal",
            "credentials reseal {\"limit\",\"after\"}: seal under the master key in force",
            [this](const Settings& args) {
                const ResealRequest request{args};
                ResealAnswer answer;
                storage_.write(deadline(), [&](Session& session) {
                    answer = reseal_credentials(session, secrets_, request);
                });
                return answer.json();
            }
        );
        commands_.add(
            "credentials.check",
            "credentials check {\"limit\",\"after\"}: whether what is sealed opens",
            [this](const Settings& args) {
                const ResealRequest request{args};
                std::string answer;
                storage_.read(deadline(), [&](Session& session) {
                    answer = check_credentials(session, secrets_, request);
                });
                return answer;
            }
        );
    }

    [[nodiscard]] std::int64_t deadline() const {
        return clock_->now_ns(clock_.self) + limits_->request_timeout_ms * k_ns_per_ms;
    }

    void mount(const Endpoint& endpoint) {
        std::string path = endpoint.path;
        const std::size_t id = path.find("{id}");
        if (id != std::string::npos) {
            path.replace(id, std::string::npos, "<tail>");
        }
        routes_->mount(endpoint.method, path, [this, &endpoint](const tenon_http_request& request) {
            take(endpoint, request);
        });
    }

    void mount_flags() {
        line_.emplace(exec_, host().environment("data_dir"));
        flags_.emplace(*line_, clock_);
        const auto take = [this](const tenon_http_request& request) { take_flags(request); };
        routes_->mount("GET", "/api/flags", take);
        routes_->mount("PUT", "/api/flags/<tail>", take);
        routes_->mount("DELETE", "/api/flags/<tail>", take);
    }

    // On the reactor throughout: it waits for the server itself and for no database.
    void take_flags(const tenon_http_request& http) {
        requests_.add();
        try {
            const std::uint64_t handle = http.handle;
            const std::int64_t begin_ns = clock_->now_ns(clock_.self);
            const Request request = read(http);
            const std::string actor = "key:" + std::string{header(http, "x-tenon-key")};
            enter();
            try {
                flags_->answer(request, actor, [this, handle, begin_ns](const Answer& answer) {
                    duration_.observe(std::chrono::nanoseconds{
                        clock_->now_ns(clock_.self) - begin_ns});
                    if (answer.status >= 500) {
                        failures_.add();
                    }
                    respond(handle, answer);
                    leave();
                });
            } catch (...) {
                leave();
                throw;
            }
        } catch (const ApiFailure& failure) {
            refused_.add();
            (void)routes_->respond(
                http.handle, {failure.http_status(), "application/json", failure.body()}
            );
        }
    }

    void take(const Endpoint& endpoint, const tenon_http_request& http) {
        requests_.add();
        try {
            auto request = std::make_shared<Request>(read(http));
            start_work(endpoint, std::move(request), http.handle);
        } catch (const ApiFailure& failure) {
            refused_.add();
            (void)routes_->respond(
                http.handle, {failure.http_status(), "application/json", failure.body()}
            );
        }
    }

    // Who asks and what; throws ApiFailure when the signature does not fit.
    [[nodiscard]] Request read(const tenon_http_request& http) {
        if (view(http.body).size() > limits_->body_max_bytes) {
            throw ApiFailure{413, "too_large", "the body is too large"};
        }
        Request request;
        request.caller = identify(http, limits_->receive_window_ms);
        request.method = view(http.method);
        request.path = view(http.path);
        request.tail = view(http.tail);
        request.query = view(http.query);
        request.body = view(http.body);
        request.now_real_ns = clock_->now_real_ns(clock_.self);
        return request;
    }

    [[nodiscard]] Caller identify(const tenon_http_request& http, std::int64_t window_ms) {
        const std::string_view key = header(http, "x-tenon-key");
        const std::string_view timestamp = header(http, "x-tenon-timestamp");
        const std::string_view signature = header(http, "x-tenon-signature");
        if (key.empty() || timestamp.empty() || signature.empty()) {
            throw ApiFailure{
                401,
                "unauthorized",
                "X-Tenon-Key, X-Tenon-Timestamp and X-Tenon-Signature are needed"};
        }
        const auto sent_ms = whole_milliseconds(timestamp);
        const std::int64_t now_ms = clock_->now_real_ns(clock_.self) / k_ns_per_ms;
        if (!sent_ms || *sent_ms > now_ms + 1000 || now_ms - *sent_ms > window_ms) {
            throw ApiFailure{
                401, "unauthorized", "the timestamp is not milliseconds of the last moments"};
        }
        constexpr std::string_view k_end = "\n";
        const std::string_view parts[]{
            timestamp,
            k_end,
            view(http.method),
            k_end,
            view(http.path),
            k_end,
            view(http.query),
            k_end,
            view(http.body)};
        std::vector<tenon_bytes> raw;
        for (const std::string_view part : parts) {
            if (!part.empty()) {
                raw.push_back(bytes(part));
            }
        }
        auto identity = sized<tenon_identity>();
        const tenon_status status = auth_->verify(
            auth_.self,
            str(key),
            raw.data(),
            static_cast<std::uint32_t>(raw.size()),
            str(signature),
            &identity
        );
        if (status != TENON_OK) {
            throw ApiFailure{401, "unauthorized", "the key is unknown or the signature is wrong"};
        }
        if (!may_come_from(auth_, key, identity, http.remote)) {
            throw ApiFailure{401, "unauthorized", "the key may not be used from this address"};
        }
        if (view(http.method) != "GET") {
            std::string text{key};
            for (const std::string_view part : parts) {
                text.append("\n").append(part);
            }
            refuse_copy(text, *sent_ms + window_ms, now_ms);
        }
        return {
            identity.account,
            (identity.permissions & TENON_PERMISSION_READ) != 0,
            (identity.permissions & TENON_PERMISSION_TRADE) != 0,
            (identity.permissions & k_permission_admin) != 0};
    }

    void refuse_copy(std::string_view signed_text, std::int64_t until_ms, std::int64_t now_ms) {
        switch (replays_.remember(sha256_hex(signed_text), until_ms, now_ms, limits_->replays_max)
        ) {
            case Replays::Result::fresh:
                return;
            case Replays::Result::replayed:
                throw ApiFailure{
                    409, "replayed", "this signed request came before: sign it with a new time"};
            case Replays::Result::full:
                throw ApiFailure{503, "busy", "too many writes in a moment: try again later"};
        }
    }

    [[nodiscard]] static std::optional<std::int64_t> whole_milliseconds(std::string_view text) {
        std::int64_t value = 0;
        constexpr std::size_t k_digits_max = 15;
        if (text.size() > k_digits_max) {
            return std::nullopt;
        }
        for (const char c : text) {
            if (c < '0' || c > '9') {
                return std::nullopt;
            }
            value = value * 10 + (c - '0');
        }
        return value;
    }

    void
    start_work(const Endpoint& endpoint, std::shared_ptr<Request> request, std::uint64_t handle) {
        constexpr std::string_view k_busy = "too many requests are in work: try again later";
        if (working_.load() >= limits_->requests_max) {
            throw ApiFailure{503, "busy", std::string{k_busy}};
        }
        const ApiOptions options{limits_->request_timeout_ms * k_ns_per_ms, secrets_};
        enter();
        bool starts_worker = false;
        {
            const std::lock_guard lock{mutex_};
            waiting_.push_back(
                {&endpoint, std::move(request), handle, options, clock_->now_ns(clock_.self)}
            );
            starts_worker = workers_ < limits_->concurrency;
            workers_ += starts_worker ? 1 : 0;
        }
        if (starts_worker && !start_worker() && withdraw(handle)) {
            leave();
            throw ApiFailure{503, "busy", std::string{k_busy}};
        }
        arm();
    }

    // On the reactor: the threads of the pool may all be waiting for a database that is away, and
    // who waits for a worker is to know in time. They wait in order, so the first is the next.
    void arm() {
        if (timer_ != 0) {
            return;
        }
        std::int64_t due_ns = 0;
        {
            const std::lock_guard lock{mutex_};
            if (waiting_.empty()) {
                return;
            }
            due_ns = waiting_.front().due_ns();
        }
        const auto fire = [](void* self) noexcept {
            auto& me = *static_cast<RecordsPlugin*>(self);
            me.timer_ = 0;
            (void)guard(nullptr, [&] { me.expire(); });
        };
        timer_ = exec_->timer(exec_.self, due_ns, fire, this);
    }

    void expire() {
        const std::int64_t now_ns = clock_->now_ns(clock_.self);
        while (const auto job = take_late(now_ns)) {
            duration_.observe(std::chrono::nanoseconds{now_ns - job->begin_ns});
            failures_.add();
            respond(job->handle, late_answer());
            leave();
        }
        arm();
    }

    [[nodiscard]] std::optional<Job> take_late(std::int64_t now_ns) {
        const std::lock_guard lock{mutex_};
        if (waiting_.empty() || waiting_.front().due_ns() > now_ns) {
            return std::nullopt;
        }
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        return job;
    }

    [[nodiscard]] static Answer late_answer() {
        const ApiFailure late{503, "timeout", "the request waited too long: try again"};
        return {late.http_status(), late.body()};
    }

    [[nodiscard]] bool start_worker() {
        in_flight_.enter();
        try {
            run_blocking(exec_, [this] {
                while (auto job = next()) {
                    serve(*job);
                }
                in_flight_.leave();
            });
            return true;
        } catch (const Error&) {
            in_flight_.leave();
            return false;
        }
    }

    // A worker that could not start: the others see to what waits; without any, this one gives its
    // request back. False: it is, or will be, served.
    [[nodiscard]] bool withdraw(std::uint64_t handle) {
        const std::lock_guard lock{mutex_};
        if (--workers_ > 0 || waiting_.empty() || waiting_.back().handle != handle) {
            return false;
        }
        waiting_.pop_back();
        return true;
    }

    // Nothing: the worker ends.
    [[nodiscard]] std::optional<Job> next() {
        const std::lock_guard lock{mutex_};
        if (waiting_.empty()) {
            --workers_;
            return std::nullopt;
        }
        Job job = std::move(waiting_.front());
        waiting_.pop_front();
        return job;
    }

    // On the pool. The time that a request waited for a worker counts.
    void serve(const Job& job) {
        Answer answer{500, R"({"error":{"code":"internal","message":"","pointer":""}})"};
        (void)guard(nullptr, [&] {
            const std::int64_t wait_ns = job.due_ns() - clock_->now_ns(clock_.self);
            if (wait_ns <= 0) {
                answer = late_answer();
            } else {
                const std::int64_t ttl_ns = limits_->cache_ms * k_ns_per_ms;
                answer = kept_.answer({*job.endpoint, *job.request, ttl_ns, wait_ns}, [&] {
                    const Api api{storage_, job.options};
                    return api.answer(*job.endpoint, *job.request, job.begin_ns);
                });
            }
        });
        duration_.observe(std::chrono::nanoseconds{clock_->now_ns(clock_.self) - job.begin_ns});
        finish(job.handle, std::move(answer));
    }

    // On the pool; the answer is given on the reactor, which alone may.
    void finish(std::uint64_t handle, Answer answer) {
        if (answer.status >= 500) {
            failures_.add();
        }
        try {
            post(exec_, 0, [this, handle, answer = std::move(answer)] {
                respond(handle, answer);
                leave();
            });
        } catch (const Error& e) {
            host().log().warn("request not answered", {{"reason", e.what()}});
            leave();
        }
    }

    void respond(std::uint64_t handle, const Answer& answer) {
        const HttpAnswer plain{answer.status, "application/json", answer.body};
        if (answer.age_ms < 0) {
            (void)routes_->respond(handle, plain);
            return;
        }
        const std::string age = std::to_string(answer.age_ms);
        (void)routes_->respond(
            handle,
            {plain.status, plain.content_type, plain.body, {{str("x-tenon-age-ms"), str(age)}}}
        );
    }

    void enter() {
        in_flight_.enter();
        ++working_;
    }

    void leave() noexcept {
        --working_;
        in_flight_.leave();
    }

    Live<Limits> limits_;
    Service<tenon_exec_1> exec_;
    Service<tenon_clock_1> clock_;
    Service<tenon_auth_1> auth_;
    Storage storage_;
    Secrets secrets_;
    KeptAnswers kept_;
    AdminCommands commands_;
    Counter requests_, failures_, refused_;
    Histogram duration_;
    InFlight in_flight_;
    std::atomic<std::uint32_t> working_{0};
    Replays replays_;          // on the reactor
    std::mutex mutex_;         // of the next two
    std::deque<Job> waiting_;  // bounded by requests_max
    std::uint32_t workers_ = 0;
    std::uint64_t timer_ = 0;  // on the reactor; of who waits longest; 0: not armed
    std::string document_;
    std::unique_ptr<HttpRoutes> routes_;
    std::optional<AdminLine> line_;  // on the reactor, with flags_
    std::optional<Flags> flags_;
};

}  // namespace
}  // namespace tenon::records

TENON_EXPORT_PLUGIN(tenon::records::RecordsPlugin)
