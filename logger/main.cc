// logger: writes the log, one line for each record of a role. The kernel tells it which role and which process wrote a
// record; the rest it only makes harmless. Nobody who runs as root reads text that came from the network.

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "ipc/channel.h"
#include "logger/allowance.h"
#include "logger/line.h"
#include "role/role.h"

namespace postern::logger {
namespace {

using base::UniqueFd;
using ipc::Role;

struct Source {
  std::string role;
  UniqueFd fd;  // a SEQPACKET socket with SO_PASSCRED on; for the backends a pipe in packet mode, which tells no pid
};

absl::StatusOr<std::vector<Source>> ReadConfig(const role::Options& options, base::InheritedFds& fds) {
  std::vector<Source> sources;
  for (const auto& option : options) {
    sources.push_back({option.second, fds.Take("source")});
    if (!sources.back().fd.valid()) return absl::InvalidArgumentError("more --source than descriptors");
  }
  UniqueFd backends = fds.Take("backend");
  if (fcntl(backends.get(), F_SETFL, O_NONBLOCK | O_DIRECT) != 0) return absl::ErrnoToStatus(errno, "backend");
  sources.push_back({std::string(kBackendSource), std::move(backends)});
  return sources;
}

constexpr size_t kTurnMax = 64;      // records of one source, before the next has its turn
constexpr size_t kBatchMax = 1024;   // records, before any is written
constexpr int kBatchesAtEnd = 16;    // the sockets' queues hold no more
constexpr int kGatherMillis = 10;    // after the first record of a batch
constexpr size_t kManyRecords = 64;  // in the batch before: no gathering

pid_t SenderOf(msghdr* message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS) continue;
    ucred credentials;
    memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
    return credentials.pid;
  }
  return 0;
}

struct Entry {
  uint64_t stamp;
  std::string line;
};

// Appends the next record of the source, unless it is a backend's that is not allowed. False: there is none now.
bool TakeRecord(const Source& source, Allowance* allowance, std::vector<Entry>* entries) {
  char record[base::kLogRecordOctetsMax];
  if (source.role == kBackendSource) {
    const ssize_t octets = read(source.fd.get(), record, sizeof record);
    if (octets <= 0) return false;
    if (!allowance->Take(base::Deadline::Now())) return true;
    // No stamp: it goes behind what the roles said at the same time.
    entries->push_back({~uint64_t{0}, Line(source.role, 0, absl::string_view(record, static_cast<size_t>(octets)))});
    return true;
  }
  // Room for the credentials alone: descriptors that somebody sends along do not fit and are dropped by the kernel.
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))];
  iovec data = {record, sizeof record};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t octets = recvmsg(source.fd.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (octets < 0 || (octets == 0 && message.msg_controllen == 0)) return false;
  absl::string_view text(record, static_cast<size_t>(octets));
  // A role that lies about the time changes the order of its lines, no more.
  const uint64_t stamp = base::ParseLogStamp(&text);
  entries->push_back({stamp, Line(source.role, SenderOf(&message), text)});
  return true;
}

// Standard error, which may be a terminal that somebody has stopped or a pipe that nobody reads: that is no reason to
// stop mail. What cannot be written is counted and dropped.
class Output {
 public:
  void Add(const std::string& line) {
    if (text_.size() + line.size() > kWriteOctetsMax) Flush();
    text_ += line;
    ++lines_;
  }

  // Writable means room for PIPE_BUF octets at least: so one write, and never longer than that.
  void Flush() {
    if (lines_ == 0) return;
    if (lost_ != 0) text_.insert(0, absl::StrCat("role=logger pid=", getpid(), " ev=lost lines=", lost_, "\n"));
    if (text_.size() > PIPE_BUF) {
      text_.resize(PIPE_BUF - 1);
      text_ += '\n';
    }
    lost_ = Writable() && write(STDERR_FILENO, text_.data(), text_.size()) >= 0 ? 0 : lost_ + lines_;
    text_.clear();
    lines_ = 0;
  }

 private:
  static constexpr int kWriteMillis = 200;
  static constexpr size_t kWriteOctetsMax = PIPE_BUF - 64;  // leaves room for "lost"

  // Once stuck, it is not waited for again.
  bool Writable() const {
    pollfd fd = {STDERR_FILENO, POLLOUT, 0};
    return poll(&fd, 1, lost_ == 0 ? kWriteMillis : 0) > 0 && (fd.revents & POLLOUT) != 0;
  }

  std::string text_;
  unsigned lines_ = 0, lost_ = 0;
};

// Writes what there is, in the order in which it was said, and says how much it was. The passes go on until one finds
// nothing: what was said before a record that has been taken is in its socket by then.
size_t WriteRecords(const std::vector<Source>& sources, Allowance* allowance, Output* output) {
  std::vector<Entry> entries;
  size_t batch = 0;
  for (bool more = true; more && batch < kBatchMax;) {
    more = false;
    for (const Source& source : sources)
      for (size_t taken = 0; taken < kTurnMax && TakeRecord(source, allowance, &entries); ++taken, ++batch) more = true;
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.stamp < b.stamp; });
  for (const Entry& entry : entries) output->Add(entry.line);
  if (const uint64_t lost = allowance->TakeLost(base::Deadline::Now()); lost != 0)
    output->Add(absl::StrCat("role=logger pid=", getpid(), " ev=stderr_lost lines=", lost, "\n"));
  output->Flush();
  return batch;
}

absl::Status Serve(int control, const std::vector<Source>& sources) {
  std::vector<pollfd> fds = {{control, 0, 0}};
  for (const Source& source : sources) fds.push_back({source.fd.get(), POLLIN, 0});
  Allowance allowance;
  Output output;
  size_t taken = 0;
  while (true) {
    // What was lost is told in time, even if nobody says anything more.
    const int millis = allowance.lost() ? static_cast<int>(absl::ToInt64Milliseconds(Allowance::kReportEvery)) : -1;
    if (poll(fds.data(), fds.size(), millis) < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    // A record seldom comes alone, and to look costs more than to write it. With many there is no time to lose: their
    // writers wait when a socket is full.
    if (taken < kManyRecords) poll(nullptr, 0, kGatherMillis);
    taken = WriteRecords(sources, &allowance, &output);
    for (size_t i = 1; i < fds.size(); ++i)
      if ((fds[i].revents & (POLLHUP | POLLERR)) != 0) fds[i].fd = -1;  // shut down by somebody: no reason to spin
    if (fds[0].revents == 0) continue;
    // All that was said before the end is written; but a backend that never stops writing does not keep us.
    for (int i = 0; i < kBatchesAtEnd && taken >= kBatchMax; ++i) taken = WriteRecords(sources, &allowance, &output);
    return absl::OkStatus();
  }
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(role::Start start, role::Begin(argc, argv, {"source"}));
  ASSIGN_OR_RETURN(const std::vector<Source> sources, ReadConfig(start.options, start.fds));
  const ipc::Channel<Role::kLogger, Role::kSupervisor> supervisor(std::move(start.control));
  RETURN_IF_ERROR(start.fds.Finished());
  ASSIGN_OR_RETURN(const sandbox::Seal seal, sandbox::Seal::Prepare(start.policy, "serve"));
  RETURN_IF_ERROR(seal.Apply());
  // If the supervisor has given up already, what the others said of it is still to be written.
  (void)supervisor.Send(ipc::Ready{});
  return Serve(supervisor.fd(), sources);
}

}  // namespace
}  // namespace postern::logger

int main(int argc, char** argv) { return postern::base::Finish(postern::logger::Run(argc, argv)); }
