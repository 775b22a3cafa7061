#include "protocolbroker/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "capabilities/rules.h"
#include "protocolbroker/imap/capabilities.h"
#include "protocolbroker/line_io.h"
#include "protocolbroker/pop3/capabilities.h"
#include "role/role.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;
using Next = Interview::Next;

// Of a report: "told" and a word a line, or why there is nothing to tell.
constexpr absl::string_view kTold = "told\n";
constexpr size_t kReportOctetsMax = 60000;  // a pipe takes so much without a reader

std::unique_ptr<Interview> MakeInterview(Protocol protocol) {
  if (protocol == Protocol::kImap) return std::make_unique<imap::CapabilityInterview>();
  return std::make_unique<pop3::CapaInterview>();
}

// Aborted: it does not answer as it should.
absl::Status Hold(Interview& interview, const Question& question, int control, const Deadline& deadline) {
  const int backend = question.backend.get();
  RETURN_IF_ERROR(WriteAll(backend, question.first, control, deadline));
  bool greeted = false;
  for (Next next = Next::kMore; next == Next::kMore; greeted = true) {
    ASSIGN_OR_RETURN(const Line line, ReadLine(backend, interview.line_octets_max(), control, deadline));
    if (line.ending == Ending::kTooLong) return absl::AbortedError("line_too_long");
    next = greeted ? interview.OnLine(line.text) : interview.OnGreeting(line.text);
    if (next == Next::kRefused) return absl::AbortedError("refused");
    if (!greeted) RETURN_IF_ERROR(WriteAll(backend, interview.question(), control, deadline));
  }
  // It has answered: whether it takes leave is its own affair.
  (void)WriteAll(backend, interview.goodbye(), control, deadline);
  DropBuffered(backend);
  return absl::OkStatus();
}

std::string Report(const Question& question, int control, const Deadline& deadline) {
  const std::unique_ptr<Interview> interview = MakeInterview(question.protocol);
  const absl::Status status = Hold(*interview, question, control, deadline);
  if (status.ok()) return absl::StrCat(kTold, absl::StrJoin(interview->told(), "\n"));
  if (absl::IsAborted(status)) return std::string(status.message());
  if (absl::IsDeadlineExceeded(status)) return "time";
  return absl::IsCancelled(status) ? "shutdown" : "closed";
}

// A child's report, up to its end or the deadline.
std::string ReadReport(const UniqueFd& pipe, int control, const Deadline& deadline) {
  std::string report;
  while (report.size() < kReportOctetsMax && role::Wait(pipe.get(), POLLIN, control, deadline).ok()) {
    char buffer[4096];
    const ssize_t octets = read(pipe.get(), buffer, sizeof buffer);
    if (octets < 0 && errno == EINTR) continue;
    if (octets <= 0) break;
    report.append(buffer, static_cast<size_t>(octets));
  }
  return report;
}

// The read end of a pipe that will hold the child's report; none if the system has no process for it.
UniqueFd AskInChild(const std::vector<Question>& questions, size_t asked, const sandbox::Seal& seal,
                    const std::vector<int>& others, int control, const Deadline& deadline) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return UniqueFd();
  UniqueFd reader(ends[0]), writer(ends[1]);
  const pid_t child = fork();
  if (child < 0) return UniqueFd();
  if (child > 0) return reader;

  for (int other : others) close(other);
  // The others' sockets have to end when their own children close them.
  for (size_t i = 0; i < questions.size(); ++i)
    if (i != asked) close(questions[i].backend.get());
  if (!seal.Apply().ok()) _exit(1);
  const std::string report = Report(questions[asked], control, deadline).substr(0, kReportOctetsMax);
  _exit(write(writer.get(), report.data(), report.size()) == static_cast<ssize_t>(report.size()) ? 0 : 1);
}

// The child may have been taken over by what it read: its word is judged here.
std::vector<std::string> Judge(const Question& question, absl::string_view report) {
  if (!absl::ConsumePrefix(&report, kTold)) {
    base::Event("capabilities_unknown").Add("service", question.service).Add("why", report.empty() ? "error" : report);
    return {};
  }
  const std::vector<std::string> told = absl::StrSplit(report, '\n', absl::SkipEmpty());
  std::vector<std::string> kept = question.protocol == Protocol::kImap
                                      ? capabilities::KeepImap(told)
                                      : capabilities::KeepPop3(told, question.backend_login);
  const absl::string_view separator = question.protocol == Protocol::kImap ? " " : ", ";
  base::Event("capabilities").Add("service", question.service).AddText("list", absl::StrJoin(kept, separator));
  return kept;
}

}  // namespace

std::vector<std::vector<std::string>> Ask(std::vector<Question> questions, const sandbox::Seal& seal,
                                          const std::vector<int>& others, int control, absl::Duration time) {
  constexpr absl::Duration kGrace = absl::Milliseconds(500);  // for a child to say that the time is over
  const Deadline deadline = Deadline::In(time), reported = Deadline::In(time + kGrace);
  std::vector<UniqueFd> pipes;
  for (size_t i = 0; i < questions.size(); ++i)
    pipes.push_back(AskInChild(questions, i, seal, others, control, deadline));
  for (Question& question : questions) question.backend.Reset();
  std::vector<std::vector<std::string>> answers;
  for (size_t i = 0; i < questions.size(); ++i)
    answers.push_back(Judge(questions[i], pipes[i].valid() ? ReadReport(pipes[i], control, reported) : "fork"));
  return answers;
}

}  // namespace postern::protocolbroker
