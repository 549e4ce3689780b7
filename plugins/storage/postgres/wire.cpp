// SPDX-License-Identifier: Apache-2.0
#include "plugins/storage/postgres/wire.hpp"

#include "plugins/storage/postgres/cluster/addresses.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::postgres {
namespace {

// Statements of the platform have fewer; more costs an allocation.
constexpr std::size_t k_few = 16;

// Parameters as the three arrays that libpq takes.
class Arrays {
public:
    explicit Arrays(std::span<const Parameter> parameters) {
        if (parameters.size() > k_few) {
            many_values_.resize(parameters.size());
            many_sizes_.resize(parameters.size());
            many_formats_.resize(parameters.size());
            values = many_values_.data();
            sizes = many_sizes_.data();
            formats = many_formats_.data();
        }
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            values[i] = parameters[i].data;
            sizes[i] = parameters[i].size;
            formats[i] = parameters[i].binary ? 1 : 0;
        }
        count = static_cast<int>(parameters.size());
    }

private:
    std::array<const char*, k_few> few_values_{};
    std::array<int, k_few> few_sizes_{}, few_formats_{};
    std::vector<const char*> many_values_;
    std::vector<int> many_sizes_, many_formats_;

public:
    const char** values = few_values_.data();
    int* sizes = few_sizes_.data();
    int* formats = few_formats_.data();
    int count = 0;
};

}  // namespace

Wire::Wire(
    const std::vector<std::pair<std::string, std::string>>& keywords,
    const Telemetry& telemetry,
    std::int64_t deadline_ns
)
    : telemetry_{telemetry} {
    std::vector<const char*> names;
    std::vector<const char*> values;
    const auto addresses = addresses_of(keywords, deadline_ns, [&] { return telemetry.now_ns(); });
    for (const auto& [name, value] : keywords) {
        names.push_back(name.c_str());
        values.push_back(value.c_str());
    }
    for (const auto& [name, value] : addresses) {
        names.push_back(name.c_str());
        values.push_back(value.c_str());
    }
    names.push_back(nullptr);
    values.push_back(nullptr);
    connection_ = PQconnectStartParams(names.data(), values.data(), 1);
    try {
        refuse_several(keywords);
        connect(deadline_ns);
        // Our own: libpq may close its descriptor, and the number may be a stranger's then.
        socket_ = ::fcntl(PQsocket(connection_), F_DUPFD_CLOEXEC, 0);
        if (socket_ < 0) {
            throw lost(nullptr, "cannot connect: no file descriptor is left");
        }
    } catch (...) {
        PQfinish(connection_);
        throw;
    }
}

Wire::~Wire() {
    const int fd = socket_.exchange(-1);
    PQfinish(connection_);
    ::close(fd);
}

void Wire::refuse_several(const std::vector<std::pair<std::string, std::string>>& keywords) const {
    PQconninfoOption* const options = PQconninfo(connection_);
    std::string several;
    for (const PQconninfoOption* option = options; option != nullptr && option->keyword != nullptr;
         ++option) {
        const std::string_view name = option->keyword;
        const bool ours = std::any_of(keywords.begin(), keywords.end(), [&](const auto& keyword) {
            return keyword.first == "host" || keyword.first == "hostaddr";
        });
        if (!ours && option->val != nullptr && (name == "host" || name == "hostaddr") &&
            std::string_view{option->val}.find(',') != std::string_view::npos) {
            several = name;
        }
    }
    PQconninfoFree(options);
    if (!several.empty()) {
        throw invalid(
            "the service names several servers in " + several +
            ": list them in /hosts, where they are watched and fenced"
        );
    }
}

void Wire::connect(std::int64_t deadline_ns) {
    if (connection_ == nullptr) {
        throw std::bad_alloc{};
    }
    PQsetNoticeReceiver(connection_, &Wire::on_notice, this);  // by default it goes to stderr
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED || PQstatus(connection_) == CONNECTION_BAD) {
            throw lost(connection_, "cannot connect");
        }
        wait(status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ns);
        status = PQconnectPoll(connection_);
    }
    if (PQsetnonblocking(connection_, 1) != 0) {
        throw lost(connection_, "cannot connect");
    }
}

void Wire::on_notice(void* self, const PGresult* notice) noexcept {
    const char* severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity == nullptr) {
        return;
    }
    const std::string_view is{severity};
    auto& mine = *static_cast<Wire*>(self);
    mine.warned_ = mine.warned_ || is == "WARNING";
    // Said to a session that waits for nothing: its end.
    mine.broken_ = mine.broken_ || is == "FATAL" || is == "PANIC";
}

void Wire::fail(std::string_view what) {
    broken_ = true;
    if (shut_) {
        throw DatabaseError{
            TENON_UNAVAILABLE,
            std::string{what} +
                ": the session was ended here, its server was replaced or the "
                "database stops",
            Failure::other_host,
            ""};
    }
    throw lost(connection_, what);
}

void Wire::wait(short events, std::int64_t deadline_ns) {
    deadline_ns = std::min(deadline_ns, bound_ns_);
    pollfd fd{PQsocket(connection_), events, 0};
    for (;;) {
        const std::int64_t left_ns = deadline_ns - telemetry_.now_ns();
        // What has arrived before the time was over counts, once: who was scheduled late must not
        // cut a session that answered.
        const bool last_look = left_ns <= 0 && !looked_late_;
        looked_late_ = left_ns <= 0;
        if ((left_ns <= 0 && !last_look) || fd.fd < 0) {
            broken_ = true;
            throw DatabaseError{
                TENON_UNAVAILABLE,
                "the server does not answer within the time that a statement has",
                Failure::other_host,
                ""};
        }
        const int ms =
            last_look ? 0 : static_cast<int>(std::min<std::int64_t>(left_ns / k_ms + 1, 60'000));
        const int ready = ::poll(&fd, 1, ms);
        if (ready > 0) {
            return;
        }
        if (ready < 0 && errno != EINTR) {
            fail("cannot wait for the server");
        }
    }
}

void Wire::sent(int ok) {
    if (ok != 1) {
        fail("cannot send");
    }
}

void Wire::flush() {
    std::int64_t deadline_ns = 0;
    for (int left = PQflush(connection_); left != 0; left = PQflush(connection_)) {
        if (left < 0) {
            fail("cannot send");
        }
        if (deadline_ns == 0) {
            deadline_ns = telemetry_.now_ns() + patience_ns_;
        }
        wait(POLLIN | POLLOUT, deadline_ns);
        if (PQconsumeInput(connection_) != 1) {
            fail("cannot read");
        }
    }
}

void Wire::enter_pipeline() {
    if (broken_) {
        fail("cannot send");
    }
    if (PQpipelineStatus(connection_) == PQ_PIPELINE_OFF) {
        sent(PQenterPipelineMode(connection_));
    }
}

void Wire::leave_pipeline() {
    if (broken_) {
        fail("cannot send");
    }
    skip_left_behind();
    if (PQpipelineStatus(connection_) != PQ_PIPELINE_OFF) {
        sent(PQexitPipelineMode(connection_));
    }
}

void Wire::send(const char* sql) {
    enter_pipeline();
    sent(PQsendQueryParams(connection_, sql, 0, nullptr, nullptr, nullptr, nullptr, 0));
}

void Wire::send_prepare(const std::string& name, const std::string& sql) {
    enter_pipeline();
    sent(PQsendPrepare(connection_, name.c_str(), sql.c_str(), 0, nullptr));
}

void Wire::send_describe(const std::string& name) {
    enter_pipeline();
    sent(PQsendDescribePrepared(connection_, name.c_str()));
}

void Wire::send_execute(
    const std::string& name,
    std::span<const Parameter> parameters,
    bool binary
) {
    enter_pipeline();
    const Arrays a{parameters};
    sent(PQsendQueryPrepared(
        connection_, name.c_str(), a.count, a.values, a.sizes, a.formats, binary ? 1 : 0
    ));
}

void Wire::send_parameters(const std::string& sql, std::span<const Parameter> parameters) {
    enter_pipeline();
    const Arrays a{parameters};
    sent(PQsendQueryParams(
        connection_, sql.c_str(), a.count, nullptr, a.values, a.sizes, a.formats, 0
    ));
}

void Wire::sync() {
    sent(PQpipelineSync(connection_));
    flush();
}

void Wire::query(const std::string& sql) {
    leave_pipeline();
    sent(PQsendQuery(connection_, sql.c_str()));
    flush();
}

void Wire::copy_data(std::string_view bytes) {
    const int size = static_cast<int>(bytes.size());
    std::int64_t deadline_ns = 0;
    for (int ok = PQputCopyData(connection_, bytes.data(), size); ok != 1;
         ok = PQputCopyData(connection_, bytes.data(), size)) {
        if (ok < 0) {
            fail("cannot send rows");
        }
        if (deadline_ns == 0) {
            deadline_ns = telemetry_.now_ns() + patience_ns_;
        }
        wait(POLLOUT, deadline_ns);
        if (PQflush(connection_) < 0) {
            fail("cannot send rows");
        }
    }
    flush();
}

void Wire::copy_end(const char* refusal) {
    for (;;) {
        const int ok = PQputCopyEnd(connection_, refusal);
        if (ok == 1) {
            break;
        }
        if (ok < 0) {
            fail("cannot send rows");
        }
        wait(POLLOUT, telemetry_.now_ns() + patience_ns_);
    }
    flush();
}

Result Wire::raw() {
    if (broken_) {
        fail("cannot read");
    }
    std::int64_t deadline_ns = 0;
    while (PQisBusy(connection_) == 1) {
        if (deadline_ns == 0) {
            deadline_ns = telemetry_.now_ns() + patience_ns_;
        }
        wait(POLLIN, deadline_ns);
        // What the server said before it closed is in the buffer, and comes as a result first.
        if (PQconsumeInput(connection_) != 1 && PQisBusy(connection_) == 1) {
            fail("the connection is lost");
        }
    }
    return Result{PQgetResult(connection_)};
}

void Wire::skip_left_behind() {
    while (left_behind_ > 0) {
        const Result result = raw();
        if (result && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) {
            --left_behind_;
        } else if (PQstatus(connection_) == CONNECTION_BAD) {
            fail("the connection is lost");
        }
    }
}

Result Wire::next() {
    skip_left_behind();
    Result result = raw();
    if (!result && PQstatus(connection_) == CONNECTION_BAD) {
        fail("the connection is lost");
    }
    return result;
}

void Wire::by_row() {
    // libpq takes it for the request whose results are next.
    skip_left_behind();
    if (PQsetSingleRowMode(connection_) != 1) {
        fail("cannot read row by row");
    }
}

Result Wire::finish() {
    const bool pipeline = PQpipelineStatus(connection_) != PQ_PIPELINE_OFF;
    Result failure;
    for (;;) {
        Result result = next();
        if (!result) {
            if (!pipeline) {
                return failure;
            }
            continue;
        }
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_PIPELINE_SYNC) {
            return failure;
        }
        if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
            if (!failure) {
                failure = std::move(result);
            }
            if (PQstatus(connection_) == CONNECTION_BAD) {
                broken_ = true;
                return failure;
            }
        } else if (status == PGRES_COPY_IN) {
            copy_end("rows do not come with SQL text");
        } else if (status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            fail("COPY TO STDOUT is not for SQL text");
        }
    }
}

bool Wire::is_quiet() {
    if (broken()) {
        return false;
    }
    skip_left_behind();
    // What came and the end of the stream come one after the other.
    for (int i = 0; i < 3; ++i) {
        pollfd fd{PQsocket(connection_), POLLIN, 0};
        if (::poll(&fd, 1, 0) <= 0) {
            return true;
        }
        if (PQconsumeInput(connection_) != 1) {
            broken_ = true;
            return false;
        }
        (void)PQisBusy(connection_);
        if (broken()) {
            return false;
        }
    }
    return true;
}

bool Wire::broken() const noexcept {
    return broken_ || PQstatus(connection_) == CONNECTION_BAD;
}

void Wire::shut() noexcept {
    shut_ = true;
    if (const int fd = socket_; fd >= 0) {
        ::shutdown(fd, SHUT_RDWR);
    }
}

std::string Wire::literal(std::string_view text) {
    char* const escaped = PQescapeLiteral(connection_, text.data(), text.size());
    if (escaped == nullptr) {
        throw invalid("a text is not UTF-8");
    }
    std::string out{escaped};
    PQfreemem(escaped);
    return out;
}

}  // namespace tenon::postgres
