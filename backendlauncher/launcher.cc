#include "backendlauncher/launcher.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "backendlauncher/environment.h"
#include "base/log.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "ipc/address.h"

namespace postern::backendlauncher {
namespace {

using base::Deadline;
using base::Event;
using base::UniqueFd;
using ipc::LoginOutcome;

constexpr absl::Duration kAttemptTime = absl::Seconds(30);  // for one checkpassword
constexpr absl::Duration kStreamTime = absl::Seconds(10);   // for the broker to hand over, and for begin to exec

// cr.yp.to/checkpwd/interface.html
constexpr int kCheckpasswordRejected = 1;

bool IsPipe(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

bool IsStream(int fd) {
  int type = 0;
  socklen_t octets = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &octets) == 0 && type == SOCK_STREAM;
}

}  // namespace

absl::Duration RejectionDelay(int attempt) { return absl::Seconds(1 << std::min(attempt - 1, 5)); }

Launcher::Launcher(Config config, ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kSupervisor> supervisor,
                   ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kAcceptor> acceptor, UniqueFd stderr_socket,
                   UniqueFd begin)
    : config_(std::move(config)),
      supervisor_(std::move(supervisor)),
      acceptor_(std::move(acceptor)),
      stderr_(std::move(stderr_socket)),
      begin_(std::move(begin)) {}

absl::Status Launcher::Prepare() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return absl::ErrnoToStatus(errno, "sigprocmask");
  signals_ = UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  null_ = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!signals_.valid() || !null_.valid() || !epoll_.valid()) return absl::ErrnoToStatus(errno, "descriptors");
  RETURN_IF_ERROR(Watch(supervisor_.fd(), Source::kSupervisor, 0));
  RETURN_IF_ERROR(Watch(acceptor_.fd(), Source::kAcceptor, 0));
  return Watch(signals_.get(), Source::kSignals, 0);
}

absl::Status Launcher::Watch(int fd, Source source, Key key) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = key << 3 | static_cast<uint64_t>(source);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return absl::ErrnoToStatus(errno, "epoll_ctl");
  return absl::OkStatus();
}

absl::Status Launcher::Serve() {
  RETURN_IF_ERROR(supervisor_.Send(ipc::Ready{}));
  while (true) {
    while (!deadlines_.empty() && deadlines_.begin()->first.Passed()) {
      const Key key = deadlines_.begin()->second;
      OnDeadline(key, sessions_.at(key));
    }
    epoll_event events[64];
    const int millis = deadlines_.empty() ? -1 : deadlines_.begin()->first.PollMillis();
    const int count = epoll_wait(epoll_.get(), events, 64, millis);
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "epoll_wait");
    for (int i = 0; i < count; ++i) {
      const auto source = static_cast<Source>(events[i].data.u64 & 7);
      if (source == Source::kSupervisor) return absl::OkStatus();  // it says nothing, so it has gone
      RETURN_IF_ERROR(OnEvent(source, events[i].data.u64 >> 3));
    }
  }
}

absl::Status Launcher::OnEvent(Source source, Key key) {
  if (source == Source::kAcceptor) return OnLaunchLine();
  if (source == Source::kSignals) {
    Reap();
    return absl::OkStatus();
  }
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return absl::OkStatus();  // ended by an earlier event of this round
  if (source == Source::kLine && found->second.line.open()) OnLine(key, found->second);
  if (source == Source::kBegin && found->second.begin.open()) OnBegin(key, found->second);
  return absl::OkStatus();
}

absl::Status Launcher::OnLaunchLine() {
  auto incoming = acceptor_.Receive<ipc::LaunchLine>();
  if (absl::IsUnavailable(incoming.status())) return absl::OkStatus();
  if (absl::IsOutOfRange(incoming.status())) return incoming.status();
  if (!incoming.ok() || incoming->body.service >= config_.services.size()) {
    // Our end would be the end of every backend; a client less is the smaller loss.
    Event("bad_request").AddText("error", incoming.ok() ? "no such service" : incoming.status().message());
    return absl::OkStatus();
  }
  const Key key = next_key_++;
  Session& session = sessions_[key];
  session.session = incoming->body.session;
  session.service = incoming->body.service;
  session.client = incoming->body.client;
  session.server = incoming->body.server;
  session.line = ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kProtocolBroker>(std::move(incoming->fds[0]));
  session.life = std::move(incoming->fds[1]);
  if (const absl::Status status = Watch(session.line.fd(), Source::kLine, key); !status.ok()) {
    Event("bad_request", session.session).AddText("error", status.message());
    Forget(key);
  }
  return absl::OkStatus();
}

// The broker speaks in turn: a login, then the stream. Anything else, and its end, ends the attempt and the line.
void Launcher::OnLine(Key key, Session& session) {
  if (session.state == State::kIdle) return OnLogin(key, session);
  if (session.state == State::kAwaitStream) return OnStream(key, session);
  const absl::Status status = session.line.Receive<ipc::Login>().status();
  if (absl::IsUnavailable(status)) return;
  if (!absl::IsOutOfRange(status)) Event("bad_request", session.session).Add("error", "out of turn");
  Forget(key);
}

void Launcher::OnLogin(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Login>();
  if (absl::IsUnavailable(incoming.status())) return;
  absl::Status taken = incoming.status();
  if (taken.ok() && !IsPipe(incoming->fds[0].get())) taken = absl::InvalidArgumentError("the credentials are no pipe");
  if (!taken.ok()) {
    if (!absl::IsOutOfRange(taken)) Event("bad_request", session.session).AddText("error", taken.message());
    return Forget(key);
  }
  // After kRejectedLast a broker closes its line; one that asks all the same has been taken over.
  if (session.attempts >= config_.login_attempts) {
    Event("bad_request", session.session).Add("error", "too many attempts");
    return Forget(key);
  }
  ++session.attempts;
  session.state = State::kChecking;
  SetDeadline(key, session, Deadline::In(kAttemptTime));

  const Service& service = config_.services[session.service];
  Command command = {service.checkpassword,
                     service.backend,
                     BuildEnvironment(session.client, session.server, incoming->body.facts),
                     service.environment,
                     service.no_new_privs,
                     config_.checkpassword_uid,
                     config_.checkpassword_gid};
  auto status = ipc::SocketPair(SOCK_SEQPACKET);
  absl::StatusOr<pid_t> pid = absl::UnavailableError("no socketpair");
  if (status.ok())
    pid = Start(command, {null_.get(), stderr_.get(), incoming->fds[0].get(), status->second.get(), begin_.get()});
  if (!pid.ok()) {
    Event("login_failed", session.session).Add("why", "system").AddText("error", pid.status().message());
    return Answer(key, session, LoginOutcome::kTemporary);
  }
  session.pid = *pid;
  by_pid_[*pid] = key;
  session.begin = ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kBegin>(std::move(status->first));
  if (!Watch(session.begin.fd(), Source::kBegin, key).ok()) Rejected(key, session, false, "system");
}

void Launcher::OnBegin(Key key, Session& session) {
  if (session.state == State::kChecking) {
    const auto incoming = session.begin.Receive<ipc::Authenticated>();
    if (absl::IsUnavailable(incoming.status())) return;
    // End of file: checkpassword has ended, or has closed what it was not told of. Its exit code says which.
    if (!incoming.ok()) return session.begin.Close();
    if (incoming->body.error != 0) {
      Event("exec_failed", session.session).Add("program", "begin").Add("errno", incoming->body.error);
      return Answer(key, session, LoginOutcome::kTemporary);
    }
    Event("login", session.session)
        .Add("user", incoming->body.user.view())
        .Add("service", config_.services[session.service].name)
        .Add("address", ipc::ToText(session.client));
    session.state = State::kAwaitStream;
    SetDeadline(key, session, Deadline::In(kStreamTime));
    if (!session.line.Send(ipc::LoginResult{LoginOutcome::kAccepted}).ok()) Forget(key);
    return;
  }
  const auto failed = session.begin.Receive<ipc::ExecFailed>();
  if (absl::IsUnavailable(failed.status())) return;
  const bool started = absl::IsOutOfRange(failed.status()) && session.state == State::kStarting;
  session.begin.Close();
  if (started) {
    // exec has closed begin's end: the stream is the backend's now, and the broker may go.
    session.state = State::kRunning;
    session.started = Deadline::Now();
    SetDeadline(key, session, Deadline::Never());
    (void)session.line.Send(ipc::Started{0});
    session.line.Close();
    return;
  }
  const int error = failed.ok() ? failed->body.error : EPROTO;
  Event("exec_failed", session.session)
      .Add("program", config_.services[session.service].backend[0])
      .Add("errno", error);
  (void)session.line.Send(ipc::Started{error});  // the broker has been told "accepted" and waits for this
  Forget(key);
}

void Launcher::OnStream(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Stream>();
  if (absl::IsUnavailable(incoming.status())) return;
  absl::Status status = incoming.status();
  // A backend would hold it without a filter: it must not be an edge or a log of ours.
  if (status.ok() && !IsStream(incoming->fds[0].get())) status = absl::InvalidArgumentError("no stream socket");
  if (status.ok()) status = session.begin.Send(ipc::Stream{}, {incoming->fds[0].get()});
  if (!status.ok()) {
    // The broker has gone, or begin has.
    Event("exec_failed", session.session).AddText("error", status.message());
    return Forget(key);
  }
  session.state = State::kStarting;
  SetDeadline(key, session, Deadline::In(kStreamTime));
}

void Launcher::Reap() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) > 0) {
  }
  // As pid 1 we are handed every orphan of the namespace too.
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) OnExit(pid, status);
}

void Launcher::OnExit(pid_t pid, int status) {
  const auto found = by_pid_.find(pid);
  if (found == by_pid_.end()) return;
  const Key key = found->second;
  by_pid_.erase(found);
  kill(-pid, SIGKILL);  // what it left behind in its process group
  sessions_.at(key).pid = -1;
  // A backend that ended at once: that it had begun is still in begin's channel, and comes first.
  if (sessions_.at(key).state == State::kStarting) OnBegin(key, sessions_.at(key));
  if (sessions_.count(key) == 0) return;
  Session& session = sessions_.at(key);
  session.begin.Close();
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  switch (session.state) {
    case State::kChecking:
      return Rejected(
          key, session, code == kCheckpasswordRejected,
          code == kCheckpasswordRejected ? "rejected" : (code == base::kExitTemporary ? "temporary" : "fault"));
    case State::kAwaitStream:
    case State::kStarting:
      Event("exec_failed", session.session).Add("status", code);
      (void)session.line.Send(ipc::Started{EIO});
      return Forget(key);
    case State::kRunning:
      Event("backend_end", session.session)
          .Add("status", code)
          .Add("ms", absl::ToInt64Milliseconds(Deadline::Now() - session.started));
      return Forget(key);
    case State::kIdle:
    case State::kHeldBack:
      return;  // an attempt that was ended by us
  }
}

void Launcher::Rejected(Key key, Session& session, bool wrong_password, const char* why) {
  Event("login_failed", session.session)
      .Add("why", why)
      .Add("attempt", session.attempts)
      .Add("address", ipc::ToText(session.client));
  if (!wrong_password) return Answer(key, session, LoginOutcome::kTemporary);
  session.state = State::kHeldBack;
  SetDeadline(key, session, Deadline::In(RejectionDelay(session.attempts)));
}

void Launcher::OnDeadline(Key key, Session& session) {
  switch (session.state) {
    case State::kHeldBack:
      return Answer(key, session,
                    session.attempts < config_.login_attempts ? LoginOutcome::kRejected : LoginOutcome::kRejectedLast);
    case State::kChecking:
      EndAttempt(session);
      return Rejected(key, session, false, "time");
    default:
      Event("exec_failed", session.session).Add("why", "time");
      return Forget(key);
  }
}

// The end of an attempt that did not start a backend.
void Launcher::Answer(Key key, Session& session, LoginOutcome outcome) {
  EndAttempt(session);
  SetDeadline(key, session, Deadline::Never());
  session.state = State::kIdle;
  if (!session.line.Send(ipc::LoginResult{outcome}).ok()) Forget(key);
}

void Launcher::SetDeadline(Key key, Session& session, Deadline deadline) {
  deadlines_.erase({session.deadline, key});
  session.deadline = deadline;
  if (deadline != Deadline::Never()) deadlines_.emplace(deadline, key);
}

// Kills the attempt's process group. Reap() takes what is left of it: to wait here would let one process that cannot
// die (a home directory on a dead server, say) stop everybody's logins. Attempts of a session still follow one another,
// as another one is allowed only after the exit of the last.
void Launcher::EndAttempt(Session& session) {
  session.begin.Close();
  if (session.pid < 0) return;
  kill(-session.pid, SIGKILL);
  kill(session.pid, SIGKILL);  // in case it had not made its group yet
  by_pid_.erase(session.pid);
  session.pid = -1;
}

void Launcher::Forget(Key key) {
  Session& session = sessions_.at(key);
  if (session.state == State::kChecking)
    Event("login_failed", session.session).Add("why", "abandoned").Add("attempt", session.attempts);
  EndAttempt(session);
  SetDeadline(key, session, Deadline::Never());
  sessions_.erase(key);  // closes the line and the life pipe
}

}  // namespace postern::backendlauncher
