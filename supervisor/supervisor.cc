#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "supervisor/listen.h"

namespace postern::supervisor {
namespace {

using base::Deadline;
using base::Event;
using base::UniqueFd;

constexpr absl::Duration kStartTime = absl::Seconds(30);  // for a role to be ready
constexpr absl::Duration kBackoffFirst = absl::Milliseconds(100), kBackoffLast = absl::Seconds(5);
constexpr absl::Duration kSteady = absl::Seconds(10);          // a role that has run so long starts again at once
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);  // for workers whose end no signal tells us
constexpr absl::Duration kEndTime = absl::Seconds(3);          // to obey the hang-up, before SIGKILL
constexpr timeval kLogSendTime = {0, 100000};  // then the record is dropped: a stuck log does not stop mail
constexpr timeval kEdgeSendTime = {5, 0};      // while a role is being started again
constexpr size_t kSupervisorLog = kRoles, kProbeLog = kRoles + 1;

absl::Status LimitSends(const UniqueFd& socket, const timeval& limit) {
  if (setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
    return absl::ErrnoToStatus(errno, "SO_SNDTIMEO");
  return absl::OkStatus();
}

int ExitStatus(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

}  // namespace

absl::Status Supervisor::Prepare() {
  // Orphaned workers of a role that died become our children, so that none is left at the end.
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return absl::ErrnoToStatus(errno, "PR_SET_CHILD_SUBREAPER");
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;  // the acceptor and the launcher hold descriptors for every session
    setrlimit(RLIMIT_NOFILE, &files);
  }
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return absl::ErrnoToStatus(errno, "sigprocmask");
  signals_ = UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_.valid()) return absl::ErrnoToStatus(errno, "signalfd");
  RETURN_IF_ERROR(Listen());
  return MakeEdges();
}

absl::Status Supervisor::Listen() {
  for (const config::Service& service : plan_.config.services)
    for (const config::Listener& listener : service.listeners) {
      ASSIGN_OR_RETURN(UniqueFd socket, OpenListener(listener, plan_.config.limits.keepalive));
      listeners_.push_back(std::move(socket));
    }
  return absl::OkStatus();
}

absl::Status Supervisor::MakeEdges() {
  for ([[maybe_unused]] const Edge& edge : kEdges) {
    ASSIGN_OR_RETURN(Pair pair, ipc::SocketPair(SOCK_SEQPACKET));
    RETURN_IF_ERROR(LimitSends(pair.first, kEdgeSendTime));
    edges_.push_back(std::move(pair));
  }
  for (Pair& log : logs_) {
    ASSIGN_OR_RETURN(log, ipc::SocketPair(SOCK_SEQPACKET));
    RETURN_IF_ERROR(LimitSends(log.first, kLogSendTime));
    const int kOn = 1;
    if (setsockopt(log.second.get(), SOL_SOCKET, SO_PASSCRED, &kOn, sizeof kOn) != 0)
      return absl::ErrnoToStatus(errno, "SO_PASSCRED");
  }
  // No socket: whoever holds one end of a socket can shut it down for all. O_DIRECT: one write, one record (pipe(2)).
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_DIRECT) != 0) return absl::ErrnoToStatus(errno, "pipe2");
  backend_log_ = Pair(UniqueFd(ends[1]), UniqueFd(ends[0]));
  return absl::OkStatus();
}

// The descriptors of a role besides its edges. `own` keeps open what is opened for this start alone.
absl::Status Supervisor::AddFiles(RoleId role, NamedFds* fds, std::vector<UniqueFd>* own) {
  const auto add_file = [&](const char* name, const std::string& path) -> absl::Status {
    own->emplace_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!own->back().valid()) return absl::FailedPreconditionError(absl::StrCat(path, ": ", strerror(errno)));
    fds->emplace_back(name, own->back().get());
    return absl::OkStatus();
  };
  switch (role) {
    case kAcceptor:
      for (const UniqueFd& listener : listeners_) fds->emplace_back("listener", listener.get());
      break;
    case kTlsWorker:
      for (const config::Service& service : plan_.config.services)
        for (const config::CertificatePair& pair : service.certificates) {
          RETURN_IF_ERROR(add_file("certificate", pair.certificate));
          RETURN_IF_ERROR(add_file("key", pair.key));
        }
      break;
    case kBackendLauncher:
      fds->emplace_back("stderr", backend_log_.first.get());
      RETURN_IF_ERROR(add_file("begin", plan_.layout.begin));
      break;
    case kProtocolBroker: {
      ASSIGN_OR_RETURN(std::vector<UniqueFd> backends,
                       probes_.Start(plan_, logs_[kProbeLog].first.get(), backend_log_.first.get()));
      for (UniqueFd& backend : backends) {
        fds->emplace_back("backend", backend.get());
        own->push_back(std::move(backend));
      }
      break;
    }
    case kLogger:
      for (const Pair& log : logs_) fds->emplace_back("source", log.second.get());
      fds->emplace_back("backend", backend_log_.second.get());
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

absl::Status Supervisor::Start(RoleId role) {
  ASSIGN_OR_RETURN(Pair control, ipc::SocketPair(SOCK_SEQPACKET));
  NamedFds fds = {{"control", control.second.get()}, {"log", logs_[role].first.get()}};
  for (size_t i = 0; i < edges_.size(); ++i) {
    if (kEdges[i].from == role) fds.emplace_back(kRoleNames[kEdges[i].to].name, edges_[i].first.get());
    if (kEdges[i].to == role) fds.emplace_back(kRoleNames[kEdges[i].from].name, edges_[i].second.get());
  }
  std::vector<UniqueFd> own;
  RETURN_IF_ERROR(AddFiles(role, &fds, &own));
  ASSIGN_OR_RETURN(const pid_t pid, Spawn(plan_.roles[role], fds, role == kLogger ? STDERR_FILENO : -1));
  Running& running = roles_[role];
  running.pid = pid;
  running.control = std::move(control.first);
  running.ready = false;
  running.since = Deadline::Now();
  running.start_at = Deadline::Never();
  running.ready_by = Deadline::In(kStartTime);
  return absl::OkStatus();
}

absl::Status Supervisor::StartAll() {
  for (size_t role = 0; role < kRoles; ++role) {
    roles_[role].backoff = kBackoffFirst;
    RETURN_IF_ERROR(Start(static_cast<RoleId>(role)));
  }
  const Deadline deadline = Deadline::In(kStartTime);
  const auto ready = [this] {
    return std::all_of(roles_.begin(), roles_.end(), [](const Running& r) { return r.ready; });
  };
  while (!ready() && !over_) {
    if (deadline.Passed()) return absl::UnavailableError("not all roles became ready");
    RETURN_IF_ERROR(PollOnce(deadline));
  }
  all_ready_ = !over_;
  return absl::OkStatus();
}

absl::Status Supervisor::Run(int notification_fd) {
  absl::Status status = StartAll();
  if (status.ok() && all_ready_) {
    Announce();
    Notify(notification_fd);
    base::SetLogSocket(std::move(logs_[kSupervisorLog].first));
    Event("ready").Add("roles", static_cast<int>(kRoles)).Add("listeners", listeners_.size());
    while (status.ok() && !over_ && !drain_over_.Passed()) {
      status = StartDue();
      if (status.ok()) status = PollOnce(std::min(drain_over_, NextStart()));
    }
    Event("end").Add("drained", draining_ && !drain_over_.Passed() ? "yes" : "no");
  }
  EndAll();
  base::SetLogSocket(UniqueFd());
  return status;
}

// For the person who starts it: who runs as whom in which cage.
void Supervisor::Announce() const {
  std::string text = absl::StrFormat("%-16s %8s %6s  %s\n", "role", "pid", "uid", "cage");
  absl::StrAppendFormat(&text, "%-16s %8d %6d  %s\n", "supervisor", getpid(), geteuid(),
                        "none; reads the configuration and signals, nothing from the network");
  const auto add = [&text](absl::string_view name, absl::string_view pid, const RolePlan& role) {
    sandbox::Policy policy = role.policy;
    if (!StartedAsRoot()) {  // as sandbox::Enter() has it
      policy.caps.clear();
      policy.no_new_privs = true;
    }
    absl::StrAppendFormat(&text, "%-16s %8s %6d  %s\n", name, pid, role.identity.uid, sandbox::Describe(policy));
  };
  for (size_t role = 0; role < kRoles; ++role)
    add(kRoleNames[role].name, absl::StrCat(roles_[role].pid), plan_.roles[role]);
  if (!plan_.asked.empty()) add("probe", "(ended)", plan_.asked[0].probe);
  if (!StartedAsRoot())
    absl::StrAppend(&text,
                    "Started as an ordinary user, which is weaker: all roles share one uid, so that only their "
                    "namespaces and filters keep them apart; the launcher has no power, and every backend runs as "
                    "this user.\n");
  absl::StrAppend(&text, "ready\n");
  fputs(text.c_str(), stderr);
}

void Supervisor::Notify(int fd) {
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t written = write(fd, "\n", 1);
  close(fd);
}

Deadline Supervisor::NextStart() const {
  Deadline next = Deadline::Never();
  for (const Running& role : roles_) {
    next = std::min(next, role.start_at);
    if (role.pid > 0 && !role.ready) next = std::min(next, role.ready_by);
  }
  return next;
}

absl::Status Supervisor::StartDue() {
  for (size_t role = 0; role < kRoles; ++role) {
    Running& running = roles_[role];
    if (running.pid > 0 && !running.ready && running.ready_by.Passed()) {
      kill(running.pid, SIGKILL);
      running.ready_by = Deadline::Never();
    }
    if (!running.start_at.Passed()) continue;
    const absl::Status status = Start(static_cast<RoleId>(role));
    if (status.ok()) continue;
    Event("start_failed").Add("name", kRoleNames[role].name).AddText("error", status.message());
    roles_[role].start_at = Deadline::In(kBackoffLast);
  }
  return absl::OkStatus();
}

absl::Status Supervisor::PollOnce(const Deadline& until) {
  std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}};
  for (const Running& role : roles_)
    fds.push_back({role.control.get(), static_cast<short>(role.ready ? 0 : POLLIN), 0});
  for (const Lingering& role : lingering_) fds.push_back({role.control.get(), 0, 0});
  if (poll(fds.data(), fds.size(), until.PollMillis()) < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
  // From the end: an erased entry moves only those that have been looked at.
  for (size_t i = fds.size(); i-- > kRoles + 1;)
    if (fds[i].revents != 0) {
      // Closed is not ended: a group that is still there is to be killed at the end.
      Lingering& role = lingering_[i - kRoles - 1];
      role.control.Reset();
      if (kill(-role.group, 0) != 0) lingering_.erase(lingering_.begin() + static_cast<ptrdiff_t>(i - kRoles - 1));
    }
  for (size_t role = 0; role < kRoles; ++role)
    if (fds[role + 1].revents != 0) RETURN_IF_ERROR(OnControl(static_cast<RoleId>(role)));
  if (fds[0].revents != 0 && OnSignals()) over_ = true;
  return Reap();
}

// A role says only that it is ready; its end is told by SIGCHLD.
absl::Status Supervisor::OnControl(RoleId role) {
  Running& running = roles_[role];
  if (running.ready) {
    running.control.Reset();
    return absl::OkStatus();
  }
  const auto take = [&]<ipc::Role kRole>() {
    ipc::Channel<ipc::Role::kSupervisor, kRole> channel(std::move(running.control));
    const absl::Status status = channel.template Receive<ipc::Ready>().status();
    running.control = channel.Take();
    return status;
  };
  absl::Status status;
  switch (role) {
    case kAcceptor:
      status = take.template operator()<ipc::Role::kAcceptor>();
      break;
    case kProtocolBroker:
      status = take.template operator()<ipc::Role::kProtocolBroker>();
      break;
    case kTlsWorker:
      status = take.template operator()<ipc::Role::kTlsWorker>();
      break;
    case kBackendLauncher:
      status = take.template operator()<ipc::Role::kBackendLauncher>();
      break;
    default:
      status = take.template operator()<ipc::Role::kLogger>();
  }
  running.ready = status.ok();
  if (running.ready && role == kProtocolBroker) probes_.End();
  if (!status.ok() && !absl::IsUnavailable(status)) running.control.Reset();
  return absl::OkStatus();
}

bool Supervisor::OnSignals() {
  signalfd_siginfo info;
  bool over = false;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGINT || (info.ssi_signo == SIGTERM && (draining_ || !all_ready_))) over = true;
    if (info.ssi_signo == SIGTERM && !draining_ && all_ready_) Drain();
  }
  return over;
}

void Supervisor::Drain() {
  draining_ = true;
  drain_over_ = Deadline::In(plan_.config.limits.drain);
  listeners_.clear();
  Running& acceptor = roles_[kAcceptor];
  const ipc::Channel<ipc::Role::kSupervisor, ipc::Role::kAcceptor> channel(
      UniqueFd(fcntl(acceptor.control.get(), F_DUPFD_CLOEXEC, 3)));
  // Where it has just died nobody counts, and the time is given. It is not started again: there is nothing to accept.
  acceptor.start_at = Deadline::Never();
  if (acceptor.pid > 0) (void)channel.Send(ipc::Drain{});
}

absl::Status Supervisor::Reap() {
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (probes_.OnEnd(pid)) continue;
    for (size_t role = 0; role < kRoles; ++role)
      if (roles_[role].pid == pid) RETURN_IF_ERROR(OnRoleEnd(static_cast<RoleId>(role), status));
  }
  return absl::OkStatus();
}

absl::Status Supervisor::OnRoleEnd(RoleId role, int status) {
  Running& running = roles_[role];
  const int code = ExitStatus(status);
  const pid_t pid = std::exchange(running.pid, -1);
  if (role == kProtocolBroker) probes_.End();
  if (draining_ && role == kAcceptor) {
    // No session is left, as far as it knows. One that took over from another does not know all: then the time is
    // given.
    if (code == 0 && !acceptor_died_) over_ = true;
    return absl::OkStatus();
  }
  if (!all_ready_) {
    const std::string message =
        absl::StrCat(kRoleNames[role].name, " ended with status ", code, " before it was ready");
    return code == base::kExitConfiguration ? absl::FailedPreconditionError(message) : absl::UnavailableError(message);
  }
  // Its workers, if it had any, go on with their sessions as long as this end of their control channel is open.
  if (running.control.valid() || kill(-pid, 0) == 0) lingering_.push_back({std::move(running.control), pid});
  if (role == kAcceptor) acceptor_died_ = true;
  const absl::Duration ran = Deadline::Now() - running.since;
  running.backoff =
      ran >= kSteady ? absl::ZeroDuration() : std::min(std::max(running.backoff * 2, kBackoffFirst), kBackoffLast);
  running.start_at = Deadline::In(running.backoff);
  Event("role_died")
      .Add("name", kRoleNames[role].name)
      .Add("role_pid", pid)
      .Add("status", code)
      .Add("restart_ms", absl::ToInt64Milliseconds(running.backoff));
  return absl::OkStatus();
}

// The logger last, so that it writes what the others said at the end. Every role leads a process group that its workers
// share: what does not obey the hang-up in time is killed by it.
void Supervisor::EndAll() {
  listeners_.clear();
  probes_.End();
  std::vector<pid_t> groups;
  for (Lingering& role : lingering_) {
    role.control.Reset();
    groups.push_back(role.group);
  }
  for (size_t role = kRoles; role-- > 0;) {
    if (role == kLogger) continue;
    roles_[role].control.Reset();
    if (roles_[role].pid > 0) groups.push_back(roles_[role].pid);
  }
  const Deadline deadline = Deadline::In(kEndTime);
  const auto left = [&] {
    if (probes_.running()) return true;
    // A role that has just been forked leads no group yet.
    for (size_t role = 0; role < kRoles; ++role)
      if (role != kLogger && roles_[role].pid > 0) return true;
    return std::any_of(groups.begin(), groups.end(), [](pid_t group) { return kill(-group, 0) == 0; });
  };
  while (left() && !deadline.Passed()) WaitForChildren(std::min(deadline, Deadline::In(kLookAgain)));
  if (left())
    for (pid_t group : groups) kill(-group, SIGKILL);
  for (size_t role = 0; role < kRoles; ++role)
    if (role != kLogger && roles_[role].pid > 0) kill(roles_[role].pid, SIGKILL);
  roles_[kLogger].control.Reset();
  const Deadline last = Deadline::In(kEndTime);
  while (roles_[kLogger].pid > 0 && !last.Passed()) WaitForChildren(last);
  if (roles_[kLogger].pid > 0) kill(roles_[kLogger].pid, SIGKILL);
  const Deadline reaped = Deadline::In(kEndTime);
  while ((left() || roles_[kLogger].pid > 0) && !reaped.Passed())
    WaitForChildren(std::min(reaped, Deadline::In(kLookAgain)));
  for (pid_t group : groups)
    if (kill(-group, 0) == 0) fprintf(stderr, "postern: processes of group %d do not end\n", group);
}

void Supervisor::WaitForChildren(const Deadline& deadline) {
  pollfd fd = {signals_.get(), POLLIN, 0};
  poll(&fd, 1, deadline.PollMillis());
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
  }
  for (pid_t pid; (pid = waitpid(-1, nullptr, WNOHANG)) > 0;) {
    probes_.OnEnd(pid);
    for (Running& role : roles_)
      if (role.pid == pid) role.pid = -1;
  }
}

}  // namespace postern::supervisor
