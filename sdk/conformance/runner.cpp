// SPDX-License-Identifier: Apache-2.0
#include "sdk/conformance/runner.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <list>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

namespace tenon::conformance {
namespace {

namespace json = boost::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t k_result_max = 1U << 20U;
constexpr std::size_t k_output_tail = 2000;

struct Child {
    std::size_t index = 0;
    pid_t pid = -1;
    int result_fd = -1;
    int output_fd = -1;
    std::string received;
    std::filesystem::path folder;
    SteadyClock::time_point began, limit;
    bool timed_out = false;
};

std::string text_of(const Result& result) {
    json::array messages(result.messages.begin(), result.messages.end());
    json::array notes(result.notes.begin(), result.notes.end());
    return json::serialize(json::object{
        {"outcome", static_cast<int>(result.outcome)}, {"messages", messages}, {"notes", notes}});
}

Result result_of(const std::string& text) {
    Result result;
    const json::value value = json::parse(text);
    result.outcome = static_cast<Outcome>(value.at("outcome").to_number<int>());
    for (const json::value& message : value.at("messages").as_array()) {
        result.messages.emplace_back(message.as_string());
    }
    for (const json::value& note : value.at("notes").as_array()) {
        result.notes.emplace_back(note.as_string());
    }
    return result;
}

std::filesystem::path make_root() {
    const char* const given = std::getenv("TMPDIR");
    std::string pattern = std::string{given == nullptr ? "/tmp" : given} + "/tenon-check-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error{errno, std::generic_category(), "cannot make " + pattern};
    }
    return pattern;
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

// The text may hold what a plugin wrote; JSON takes UTF-8 only.
std::string printable(std::string text) {
    if (is_utf8(text)) {
        return text;
    }
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?'
    );
    return text;
}

[[noreturn]] void be_child(const Job& job, const Options& options, const Child& child, int out) {
    (void)::setpgid(0, 0);
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)::signal(SIGPIPE, SIG_IGN);
    const rlimit no_core{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    (void)::dup2(child.output_fd, STDOUT_FILENO);
    (void)::dup2(child.output_fd, STDERR_FILENO);
    Result result = run_here(job, options, child.folder);
    for (std::string& message : result.messages) {
        message = printable(std::move(message));
    }
    write_all(out, text_of(result));
    ::close(out);
    if (job.check->exits_normally) {
        std::exit(0);
    }
    ::_exit(0);
}

std::string tail_of(int fd) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    const off_t from = std::max<off_t>(0, size - static_cast<off_t>(k_output_tail));
    std::string text(static_cast<std::size_t>(std::max<off_t>(0, size - from)), '\0');
    const ssize_t got = ::pread(fd, text.data(), text.size(), from);
    text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    while (!text.empty() && text.back() == '\n') {
        text.pop_back();
    }
    return printable(std::move(text));
}

class Crew {
public:
    Crew(const std::vector<Job>& jobs, const Options& options)
        : jobs_{&jobs}, options_{&options}, root_{make_root()}, finished_(jobs.size()) {}

    ~Crew() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }

    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    std::vector<Finished> run() {
        const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
        const std::size_t at_once = options_->jobs == 0 ? cores : options_->jobs;
        while (next_ < jobs_->size() || !children_.empty()) {
            while (next_ < jobs_->size() && children_.size() < at_once) {
                launch(next_++);
            }
            attend();
        }
        return std::move(finished_);
    }

private:
    void launch(std::size_t index) {
        const Job& job = (*jobs_)[index];
        Child child;
        child.index = index;
        child.folder = root_ / std::to_string(index);
        std::filesystem::create_directory(child.folder);
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
            throw std::system_error{errno, std::generic_category(), "pipe"};
        }
        child.output_fd = ::memfd_create("output", MFD_CLOEXEC);
        child.result_fd = pipe[0];
        child.began = SteadyClock::now();
        child.limit = child.began + std::chrono::milliseconds{options_->timeout_ms};
        child.pid = ::fork();
        if (child.pid < 0) {
            throw std::system_error{errno, std::generic_category(), "fork"};
        }
        if (child.pid == 0) {
            for (const Child& other : children_) {
                ::close(other.result_fd);
                ::close(other.output_fd);
            }
            ::close(pipe[0]);
            be_child(job, *options_, child, pipe[1]);
        }
        ::close(pipe[1]);
        children_.push_back(std::move(child));
    }

    // Waits for the next event: output of a child, its end, or its limit.
    void attend() {
        std::vector<pollfd> fds;
        auto soonest = SteadyClock::time_point::max();
        for (const Child& child : children_) {
            fds.push_back({child.result_fd, POLLIN, 0});
            soonest = std::min(soonest, child.limit);
        }
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(soonest - SteadyClock::now());
        (void)::poll(
            fds.data(),
            fds.size(),
            static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1000))
        );
        std::size_t i = 0;
        for (auto child = children_.begin(); child != children_.end(); ++i) {
            const bool closed = (fds[i].revents != 0) && !receive(*child);
            const bool late = SteadyClock::now() >= child->limit;
            if (!closed && !late) {
                ++child;
                continue;
            }
            child->timed_out = late && !closed;
            finish(*child);
            child = children_.erase(child);
        }
    }

    // False at the end of what the child has to say.
    static bool receive(Child& child) {
        std::array<char, 4096> buffer{};
        const ssize_t got = ::read(child.result_fd, buffer.data(), buffer.size());
        if (got < 0) {
            return errno == EINTR || errno == EAGAIN;
        }
        if (child.received.size() < k_result_max) {
            child.received.append(buffer.data(), static_cast<std::size_t>(got));
        }
        return got > 0;
    }

    // The pipe is closed, and the child ends now or hangs in its exit until the limit.
    void finish(Child& child) {
        int status = 0;
        while (!child.timed_out && ::waitpid(child.pid, &status, WNOHANG) == 0) {
            child.timed_out = SteadyClock::now() >= child.limit;
            (void)::poll(nullptr, 0, 1);
        }
        (void)::kill(-child.pid, SIGKILL);
        if (child.timed_out) {
            (void)::waitpid(child.pid, &status, 0);
        }
        Finished& finished = finished_[child.index];
        finished.subject = (*jobs_)[child.index].subject;
        finished.check = (*jobs_)[child.index].check;
        finished.result = judge(child, status);
        finished.elapsed_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - child.began)
                .count();
        ::close(child.result_fd);
        ::close(child.output_fd);
        std::error_code ignored;
        std::filesystem::remove_all(child.folder, ignored);
    }

    [[nodiscard]] Result judge(const Child& child, int status) const {
        const std::string output = tail_of(child.output_fd);
        const std::string said = output.empty() ? "" : "; it wrote: " + output;
        if (child.timed_out) {
            return {
                Outcome::timeout,
                {"no end within " + std::to_string(options_->timeout_ms / 1000) + " s" + said},
                {}};
        }
        if (WIFSIGNALED(status)) {
            const char* const name = ::sigabbrev_np(WTERMSIG(status));
            return {
                Outcome::crash,
                {"killed by SIG" + std::string{name == nullptr ? "?" : name} + said},
                {}};
        }
        if (WEXITSTATUS(status) != 0 || child.received.empty()) {
            return {
                Outcome::crash,
                {"the process ended itself with code " + std::to_string(WEXITSTATUS(status)) +
                 said},
                {}};
        }
        return result_of(child.received);
    }

    const std::vector<Job>* jobs_;
    const Options* options_;
    std::filesystem::path root_;
    std::vector<Finished> finished_;
    std::list<Child> children_;
    std::size_t next_ = 0;
};

std::vector<Finished> run_in_process(const std::vector<Job>& jobs, const Options& options) {
    std::vector<Finished> finished;
    const std::filesystem::path root = make_root();
    for (const Job& job : jobs) {
        const std::filesystem::path folder = root / std::to_string(finished.size());
        std::filesystem::create_directory(folder);
        const auto began = SteadyClock::now();
        Result result = run_here(job, options, folder);
        const auto elapsed =
            std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - began);
        finished.push_back({job.subject, job.check, std::move(result), elapsed.count()});
    }
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
    return finished;
}

}  // namespace

Result run_here(const Job& job, const Options& options, const std::filesystem::path& folder) {
    Context context{options, *job.subject, *job.check, folder};
    try {
        job.check->run(context);
    } catch (const Skipped& e) {
        const Result sofar = context.result();
        return sofar.outcome == Outcome::fail ? sofar
                                              : Result{Outcome::skip, {e.what()}, sofar.notes};
    } catch (const Abandoned& e) {
        context.fail(e.what());
    } catch (const std::exception& e) {
        context.fail(std::string{"the check gave up: "} + e.what());
    }
    return context.result();
}

std::vector<Finished> run_all(const std::vector<Job>& jobs, const Options& options) {
    if (options.in_process) {
        return run_in_process(jobs, options);
    }
    return Crew{jobs, options}.run();
}

}  // namespace tenon::conformance
