// SPDX-License-Identifier: Apache-2.0
// Asks this server's own admin socket (DATA_DIR/admin.sock, lines of JSON) without holding a
// thread: what the commands of the tools do, a plugin does too. A connection for each question;
// answers and questions in flight are bounded.
//
// One reactor's. `done` is called once for each ask() that was taken, on that reactor, never
// inline; close() ends what is open with a failure and takes nothing more.
#pragma once

#include <tenon/plugin.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

namespace tenon {

class AdminLine {
public:
    static constexpr std::size_t k_in_flight_max = 8;
    static constexpr std::size_t k_answer_max = std::size_t{8} << 20U;

    // The line as the server gave it, without its end; or why there is none.
    struct Answer {
        std::string line;
        std::string failure;  // empty: there is a line
    };

    using Done = std::function<void(Answer)>;

    AdminLine(Service<tenon_exec_1> exec, std::string data_dir);
    ~AdminLine();
    AdminLine(const AdminLine&) = delete;
    AdminLine& operator=(const AdminLine&) = delete;

    // False: too many are in flight, or the socket is not there; `done` is not called.
    [[nodiscard]] bool ask(std::string line, std::int64_t deadline_ns, Done done);
    void close() noexcept;

private:
    struct Question;

    [[nodiscard]] int connect() const noexcept;
    void ready(Question& question);
    void finish(Question& question, Answer answer);
    void drop(Question& question) noexcept;
    static bool send_rest(Question& question);

    Service<tenon_exec_1> exec_;
    std::string data_dir_;
    std::map<std::uint64_t, std::unique_ptr<Question>> questions_;
    std::uint64_t next_ = 1;
    bool closed_ = false;
};

}  // namespace tenon
