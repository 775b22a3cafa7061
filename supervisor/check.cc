#include "supervisor/check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/deadline.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "supervisor/spawn.h"

namespace postern::supervisor {
namespace {

using base::UniqueFd;

constexpr absl::Duration kHelperTime = absl::Seconds(20);
constexpr rlim_t kDescriptorsPerSession = 3;  // the launcher's line, life pipe and status socket
constexpr rlim_t kDescriptorsPerCertificate = 2;
constexpr rlim_t kDescriptorsBesides = 64;

void CheckDescriptorLimit(const config::Config& config, std::vector<std::string>* errors) {
  rlimit limit;
  rlim_t need = kDescriptorsPerSession * static_cast<rlim_t>(config.limits.sessions) + kDescriptorsBesides;
  for (const config::Service& service : config.services)
    need += kDescriptorsPerCertificate * service.certificates.size();
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= need) return;
  errors->push_back(absl::StrCat(config.path, ": limits.sessions = ", config.limits.sessions, " needs ", need,
                                 " descriptors, the hard limit is ", limit.rlim_max, " (ulimit -Hn)"));
}

// All that the helper says, until it ends.
absl::StatusOr<std::string> ReadReport(const UniqueFd& report, pid_t helper) {
  const base::Deadline deadline = base::Deadline::In(kHelperTime);
  std::string text;
  while (true) {
    pollfd fd = {report.get(), POLLIN, 0};
    if (poll(&fd, 1, deadline.PollMillis()) < 0 && errno == EINTR) continue;
    char buffer[4096];
    const ssize_t octets = fd.revents != 0 ? read(report.get(), buffer, sizeof buffer) : -1;
    if (octets > 0) text.append(buffer, static_cast<size_t>(octets));
    if (octets > 0 && text.size() < 65536) continue;
    if (octets < 0) kill(helper, SIGKILL);
    break;
  }
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return absl::UnavailableError(absl::StrCat("the tlsworker that was to read the certificates ended with status ",
                                               WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
  return text;
}

// "SERVICE CERTIFICATE MESSAGE", the first two counted from 0; the message begins with "key: " where that is to blame.
absl::Status ReadReportLine(const config::Config& config, absl::string_view line, std::vector<std::string>* errors) {
  const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 2));
  size_t service, number;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &service) || service >= config.services.size() ||
      !absl::SimpleAtoi(parts[1], &number) || number >= config.services[service].certificates.size())
    return absl::InternalError("the tlsworker's report makes no sense");
  const config::CertificatePair& pair = config.services[service].certificates[number];
  absl::string_view message = parts[2];
  if (absl::ConsumePrefix(&message, "key: ")) {
    errors->push_back(At(config, pair.key_place, absl::StrCat(pair.key, ": ", message)));
  } else {
    absl::ConsumePrefix(&message, "certificate: ");
    errors->push_back(At(config, pair.certificate_place, absl::StrCat(pair.certificate, ": ", message)));
  }
  return absl::OkStatus();
}

// A tlsworker as it will run, but with a pipe named `report`: it reads the certificates in its cage and ends.
absl::Status CheckCertificates(const Plan& plan, std::vector<std::string>* errors) {
  ASSIGN_OR_RETURN(const auto control, ipc::SocketPair(SOCK_SEQPACKET));
  ASSIGN_OR_RETURN(const auto log, ipc::SocketPair(SOCK_SEQPACKET));
  ASSIGN_OR_RETURN(const auto edge, ipc::SocketPair(SOCK_SEQPACKET));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd report(ends[0]), report_writer(ends[1]);
  std::vector<UniqueFd> files;
  NamedFds fds = {{"control", control.first.get()},
                  {"log", log.first.get()},
                  {"protocolbroker", edge.first.get()},
                  {"report", report_writer.get()}};
  for (const config::Service& service : plan.config.services)
    for (const config::CertificatePair& pair : service.certificates)
      for (const auto& [name, path] : {std::pair("certificate", pair.certificate), std::pair("key", pair.key)}) {
        files.emplace_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!files.back().valid()) return absl::FailedPreconditionError(absl::StrCat(path, ": ", strerror(errno)));
        fds.emplace_back(name, files.back().get());
      }
  ASSIGN_OR_RETURN(const pid_t helper, Spawn(plan.roles[kTlsWorker], fds, -1));
  report_writer.Reset();
  absl::StatusOr<std::string> text = ReadReport(report, helper);
  if (!text.ok()) {
    // The cage's own error, if it could not be had, is in the helper's log.
    char record[1024];
    const ssize_t octets = recv(log.second.get(), record, sizeof record, MSG_DONTWAIT);
    return absl::UnavailableError(absl::StrCat(
        text.status().message(), ": ", absl::string_view(record, octets > 0 ? static_cast<size_t>(octets) : 0)));
  }
  for (absl::string_view line : absl::StrSplit(*text, '\n', absl::SkipEmpty()))
    RETURN_IF_ERROR(ReadReportLine(plan.config, line, errors));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Plan> Check(const std::string& path) {
  ASSIGN_OR_RETURN(config::Config config, config::Load(path));
  std::vector<std::string> errors = config::CheckFiles(config);
  CheckDescriptorLimit(config, &errors);
  absl::StatusOr<Plan> plan = MakePlan(std::move(config));
  if (!plan.ok()) errors.emplace_back(plan.status().message());
  if (errors.empty()) RETURN_IF_ERROR(CheckCertificates(*plan, &errors));
  if (!errors.empty()) return absl::FailedPreconditionError(absl::StrJoin(errors, "\n"));
  return plan;
}

}  // namespace postern::supervisor
