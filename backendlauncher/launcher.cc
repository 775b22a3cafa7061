#include "backendlauncher/launcher.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "backendlauncher/environment.h"
#include "backendlauncher/leftovers.h"
#include "backendlauncher/proxy_header.h"
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
constexpr absl::Duration kConnectTime = absl::Seconds(10);  // to a backend elsewhere
constexpr absl::Duration kConnectAgain = absl::Milliseconds(20);
constexpr int kMemoryPauseMillis = 10;  // after there was none

// cr.yp.to/checkpwd/interface.html
constexpr int kCheckpasswordRejected = 1;

bool IsPipe(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

bool IsSocket(int fd, int wanted) {
  int type = 0;
  socklen_t octets = sizeof type;
  return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &octets) == 0 && type == wanted;
}

absl::Status OnlyIf(bool condition, const char* otherwise) {
  return condition ? absl::OkStatus() : absl::InvalidArgumentError(otherwise);
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
      begin_(std::move(begin)),
      penalty_(config_.login_penalty) {}

absl::Status Launcher::Prepare() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return absl::ErrnoToStatus(errno, "sigprocmask");
  signals_ = UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  null_ = UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC));
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!signals_.valid() || !null_.valid() || !epoll_.valid()) return absl::ErrnoToStatus(errno, "descriptors");
  RETURN_IF_ERROR(Watch(supervisor_.fd(), Source::kSupervisor, kNobody, EPOLLIN));
  RETURN_IF_ERROR(Watch(acceptor_.fd(), Source::kAcceptor, kNobody, EPOLLIN));
  return Watch(signals_.get(), Source::kSignals, kNobody, EPOLLIN);
}

absl::Status Launcher::Watch(int fd, Source source, Key key, uint32_t wanted) {
  epoll_event event = {};
  event.events = wanted;
  event.data.u64 = key << 3 | static_cast<uint64_t>(source);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return absl::ErrnoToStatus(errno, "epoll_ctl");
  return absl::OkStatus();
}

// Of a socket that other processes have too: epoll goes on reporting it, for ever, unless it is told to leave it before
// our copy is closed (epoll(7), questions and answers).
void Launcher::CloseShared(UniqueFd& fd) {
  if (fd.valid()) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.get(), nullptr);
  fd.Reset();
}

absl::Status Launcher::Serve() {
  RETURN_IF_ERROR(supervisor_.Send(ipc::Ready{}));
  bool goes_on = true;
  while (goes_on) {
    // Our end would be the end of every backend, so this is the one place that outlives a lack of memory. What was
    // under way is dropped; a session that it belonged to ends with its deadline, or when the broker gives up.
    try {
      ASSIGN_OR_RETURN(goes_on, Turn());
    } catch (const std::bad_alloc&) {
      OnNoMemory();
    }
  }
  return absl::OkStatus();
}

// A deadline that cannot be served passes again at once, so it is not asked for at once; and children whose ends have
// been announced but not seen are announced no more.
void Launcher::OnNoMemory() {
  look_for_ends_ = true;
  poll(nullptr, 0, kMemoryPauseMillis);
  try {
    Event("no_memory");
  } catch (const std::bad_alloc&) {  // not even for that
  }
}

// False: the supervisor has gone.
absl::StatusOr<bool> Launcher::Turn() {
  if (std::exchange(look_for_ends_, false)) Reap();
  while (!deadlines_.empty() && deadlines_.begin()->first.Passed()) {
    const Key key = deadlines_.begin()->second;
    if (key != kNobody) {
      OnDeadline(key, sessions_.at(key));
    } else {
      deadlines_.erase(deadlines_.begin());
      EndLeftovers();
    }
  }
  epoll_event events[64];
  const int millis = deadlines_.empty() ? -1 : deadlines_.begin()->first.PollMillis();
  const int count = epoll_wait(epoll_.get(), events, 64, millis);
  if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "epoll_wait");
  for (int i = 0; i < count; ++i) {
    const auto source = static_cast<Source>(events[i].data.u64 & 7);
    if (source == Source::kSupervisor) return false;  // it says nothing, so it has gone
    RETURN_IF_ERROR(OnEvent(source, events[i].data.u64 >> 3));
  }
  return true;
}

absl::Status Launcher::OnEvent(Source source, Key key) {
  if (source == Source::kAcceptor) return OnLaunchLine();
  if (source == Source::kSignals) {
    Reap();
    return absl::OkStatus();
  }
  const auto found = sessions_.find(key);
  if (found == sessions_.end()) return absl::OkStatus();  // ended by an earlier event of this round
  Session& session = found->second;
  // A descriptor that an earlier event of this round has closed says nothing any more.
  if (source == Source::kLine && session.line.open()) OnLine(key, session);
  if (source == Source::kBegin && session.begin.open()) OnBegin(key, session);
  if (source == Source::kBackendSocket && session.state == State::kConnecting) OnBackendSocket(key, session);
  if (source == Source::kTether && session.tether.valid()) OnTetherGone(key, session);
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
  absl::Status status = Watch(session.line.fd(), Source::kLine, key, EPOLLIN);
  if (status.ok() && config_.services[session.service].login == Login::kConnect) status = OfferSocket(session);
  if (!status.ok()) {
    Event("refused", session.session).Add("why", "system").AddText("error", status.message());
    Forget(key);
  }
  return absl::OkStatus();
}

// For a backend that listens somewhere: the socket that will be connected to it, made now and shared with the broker.
absl::Status Launcher::OfferSocket(Session& session) {
  const Service& service = config_.services[session.service];
  // Not blocking: whoever reads and writes it later does so with MSG_DONTWAIT anyway, and no other program gets it.
  session.backend_socket =
      UniqueFd(socket(service.connect_address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!session.backend_socket.valid()) return absl::ErrnoToStatus(errno, "socket");
  const int kOn = 1;
  if (service.connect_address.ss_family != AF_UNIX)
    setsockopt(session.backend_socket.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof kOn);
  return session.line.Send(ipc::BackendSocket{}, {session.backend_socket.get()});
}

// The broker speaks in turn. Anything else, and its end, ends the attempt and the line.
void Launcher::OnLine(Key key, Session& session) {
  if (session.state == State::kIdle) {
    switch (config_.services[session.service].login) {
      case Login::kCheckpassword:
        return OnLogin(key, session);
      case Login::kBackend:
        return OnLaunch(key, session);
      case Login::kConnect:
        return OnConnect(key, session);
    }
  }
  if (session.state == State::kAwaitStream) return OnStream(key, session);
  if (session.state == State::kRunning) return OnTether(key, session);
  const absl::Status status = session.line.Receive<ipc::Login>().status();
  if (absl::IsUnavailable(status)) return;
  BadRequest(key, session, status.ok() ? absl::InvalidArgumentError("out of turn") : status);
}

// Ends the session; the end of the line alone is no offence.
void Launcher::BadRequest(Key key, const Session& session, const absl::Status& status) {
  if (!absl::IsOutOfRange(status)) Event("bad_request", session.session).AddText("error", status.message());
  Forget(key);
}

void Launcher::OnLogin(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Login>();
  if (absl::IsUnavailable(incoming.status())) return;
  absl::Status taken = incoming.status();
  if (taken.ok()) taken = OnlyIf(IsPipe(incoming->fds[0].get()), "the credentials are no pipe");
  // After kRejectedLast a broker closes its line; one that asks all the same has been taken over.
  if (taken.ok()) taken = OnlyIf(session.attempts < config_.login_attempts, "too many attempts");
  if (!taken.ok()) return BadRequest(key, session, taken);
  ++session.attempts;
  session.facts = incoming->body.facts;
  session.credentials = std::move(incoming->fds[0]);
  const std::optional<absl::Duration> wait = penalty_.Queue(session.client, Deadline::Now());
  if (!wait.has_value()) {
    Event("login_failed", session.session)
        .Add("why", "penalty")
        .Add("attempt", session.attempts)
        .Add("address", ipc::ToText(session.client));
    return Answer(key, session, LoginOutcome::kPenalized);
  }
  if (*wait == absl::ZeroDuration()) return StartAttempt(key, session);
  session.state = State::kQueued;
  SetDeadline(key, session, Deadline::In(*wait));
}

void Launcher::StartAttempt(Key key, Session& session) {
  session.state = State::kChecking;
  SetDeadline(key, session, Deadline::In(kAttemptTime));
  const UniqueFd credentials = std::move(session.credentials);
  const Service& service = config_.services[session.service];
  const CheckpasswordCommand command = {
      service.checkpassword, service.backend,     BuildEnvironment(session.client, session.server, session.facts),
      service.environment,   service.confinement, service.user};
  auto status = ipc::SocketPair(SOCK_SEQPACKET);
  absl::StatusOr<pid_t> pid = absl::UnavailableError("no socketpair");
  if (status.ok())
    pid = StartCheckpassword(command,
                             {null_.get(), stderr_.get(), credentials.get(), status->second.get(), begin_.get()});
  if (!pid.ok()) {
    Event("login_failed", session.session)
        .Add("why", "system")
        .Add("attempt", session.attempts)
        .Add("address", ipc::ToText(session.client))
        .AddText("error", pid.status().message());
    return Answer(key, session, LoginOutcome::kTemporary);
  }
  session.pid = *pid;
  by_pid_[*pid] = key;
  session.begin = ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kBegin>(std::move(status->first));
  if (!Watch(session.begin.fd(), Source::kBegin, key, EPOLLIN).ok()) Rejected(key, session, false, "system");
}

void Launcher::OnLaunch(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Launch>();
  if (absl::IsUnavailable(incoming.status())) return;
  absl::Status taken = incoming.status();
  // A backend holds it without a filter: it must not be an edge or a log of ours.
  if (taken.ok()) taken = OnlyIf(IsSocket(incoming->fds[0].get(), SOCK_STREAM), "no stream socket");
  if (!taken.ok()) return BadRequest(key, session, taken);

  const Service& service = config_.services[session.service];
  BackendCommand command = {service.backend, BuildEnvironment(session.client, session.server, incoming->body.facts),
                            service.confinement, service.user};
  command.environment.insert(command.environment.end(), service.environment.begin(), service.environment.end());
  auto status = ipc::SocketPair(SOCK_SEQPACKET);
  absl::StatusOr<pid_t> pid = absl::UnavailableError("no socketpair");
  if (status.ok()) pid = StartBackend(command, {incoming->fds[0].get(), stderr_.get(), status->second.get()});
  if (!pid.ok()) {
    Event("exec_failed", session.session).AddText("error", pid.status().message());
    return Failed(key, session, EAGAIN);
  }
  session.state = State::kStarting;
  session.pid = *pid;
  by_pid_[*pid] = key;
  SetDeadline(key, session, Deadline::In(kStreamTime));
  session.begin = ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kBegin>(std::move(status->first));
  if (!Watch(session.begin.fd(), Source::kBegin, key, EPOLLIN).ok()) Failed(key, session, ENOMEM);
}

void Launcher::OnConnect(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Connect>();
  if (absl::IsUnavailable(incoming.status())) return;
  if (!incoming.ok()) return BadRequest(key, session, incoming.status());
  session.facts = incoming->body.facts;
  session.state = State::kConnecting;
  session.connect_by = Deadline::In(kConnectTime);
  TryConnect(key, session);
}

void Launcher::TryConnect(Key key, Session& session) {
  const Service& service = config_.services[session.service];
  const int result = connect(session.backend_socket.get(), reinterpret_cast<const sockaddr*>(&service.connect_address),
                             service.connect_octets);
  const int error = result == 0 ? 0 : errno;
  SetDeadline(key, session, session.connect_by);
  if (error == 0) return OnBackendSocket(key, session);
  if (error == EINPROGRESS && Watch(session.backend_socket.get(), Source::kBackendSocket, key, EPOLLOUT).ok()) return;
  // Of a Unix socket: its queue is full (unix(7) knows no waiting for that without blocking).
  if (error == EAGAIN && !session.connect_by.Passed())
    return SetDeadline(key, session, std::min(session.connect_by, Deadline::In(kConnectAgain)));
  ConnectFailed(key, session, error);
}

void Launcher::ConnectFailed(Key key, Session& session, int error) {
  const Service& service = config_.services[session.service];
  Event("connect_failed", session.session)
      .Add("backend", service.connect)
      .Add("service", service.name)
      .Add("address", ipc::ToText(session.client))
      .Add("errno", error);
  Failed(key, session, error);
}

// Connected, or not. The header goes into an empty send buffer: it fits, or the connection has failed.
void Launcher::OnBackendSocket(Key key, Session& session) {
  const Service& service = config_.services[session.service];
  int error = 0;
  socklen_t octets = sizeof error;
  if (getsockopt(session.backend_socket.get(), SOL_SOCKET, SO_ERROR, &error, &octets) != 0) error = errno;
  if (error == 0 && service.proxy_version != 0) {
    const std::string header = ProxyHeader(service.proxy_version, session.client, session.server, session.facts);
    const ssize_t sent = send(session.backend_socket.get(), header.data(), header.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(header.size())) error = sent < 0 ? errno : EIO;
  }
  if (error != 0) return ConnectFailed(key, session, error);
  Event("connected", session.session)
      .Add("backend", service.connect)
      .Add("service", service.name)
      .Add("address", ipc::ToText(session.client));
  (void)session.line.Send(ipc::Started{0});
  Forget(key);  // the socket is the broker's and the tlsworker's now
}

void Launcher::OnBegin(Key key, Session& session) {
  if (session.state == State::kChecking) return OnAuthenticated(key, session);
  const auto failed = session.begin.Receive<ipc::ExecFailed>();
  if (absl::IsUnavailable(failed.status())) return;
  session.begin.Close();
  // exec has closed begin's end: the stream is the backend's now, and the broker may go.
  if (absl::IsOutOfRange(failed.status()) && session.state == State::kStarting) return Started(key, session);
  const int error = failed.ok() ? failed->body.error : EPROTO;
  Event("exec_failed", session.session)
      .Add("program", config_.services[session.service].backend[0])
      .Add("errno", error);
  Failed(key, session, error);
}

void Launcher::OnAuthenticated(Key key, Session& session) {
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
}

void Launcher::OnStream(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Stream>();
  if (absl::IsUnavailable(incoming.status())) return;
  absl::Status status = incoming.status();
  // As for Launch.
  if (status.ok()) status = OnlyIf(IsSocket(incoming->fds[0].get(), SOCK_STREAM), "no stream socket");
  if (status.ok()) status = session.begin.Send(incoming->body, {incoming->fds[0].get()});
  if (!status.ok()) {
    // The broker has gone, or begin has.
    Event("exec_failed", session.session).AddText("error", status.message());
    return Forget(key);
  }
  session.state = State::kStarting;
  SetDeadline(key, session, Deadline::In(kStreamTime));
}

void Launcher::Started(Key key, Session& session) {
  session.state = State::kRunning;
  session.started = Deadline::Now();
  SetDeadline(key, session, Deadline::Never());
  const Service& service = config_.services[session.service];
  if (service.login == Login::kBackend)
    Event("backend", session.session).Add("service", service.name).Add("address", ipc::ToText(session.client));
  (void)session.line.Send(ipc::Started{0});
}

// It has not: the broker, which has been told "accepted" or has asked for a backend, waits for this.
void Launcher::Failed(Key key, Session& session, int error) {
  (void)session.line.Send(ipc::Started{error == 0 ? EIO : error});
  Forget(key);
}

// The broker's last word, or its end. Only after a login by checkpassword in clear text is nobody of ours left between
// client and backend; in any other case its end without a tether means that it died, or that the backend is not wanted.
void Launcher::OnTether(Key key, Session& session) {
  auto incoming = session.line.Receive<ipc::Tether>();
  if (absl::IsUnavailable(incoming.status())) return;
  session.line.Close();
  absl::Status status = incoming.status();
  const bool direct =
      config_.services[session.service].login == Login::kCheckpassword && session.facts.version.octets == 0;
  if (absl::IsOutOfRange(status)) return direct ? void() : OnTetherGone(key, session);
  if (status.ok()) status = OnlyIf(IsSocket(incoming->fds[0].get(), SOCK_SEQPACKET), "no tether");
  if (!status.ok()) {
    Event("bad_request", session.session).AddText("error", status.message());
    return;
  }
  session.tether = std::move(incoming->fds[0]);
  // Its hang-up alone is of interest. Without it the backend is left to its own limits.
  (void)Watch(session.tether.get(), Source::kTether, key, 0);
}

void Launcher::OnTetherGone(Key key, Session& session) {
  CloseShared(session.tether);
  if (session.state != State::kRunning) return;
  session.state = State::kOutstaying;
  SetDeadline(key, session, Deadline::In(config_.backend_end));
}

void Launcher::Reap() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) > 0) {
  }
  // As pid 1 we are handed every orphan of the namespace too.
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) OnExit(pid, status);
  FindLeftovers();
}

// What a backend detached from itself, and left when it ended.
void Launcher::FindLeftovers() {
  const auto known = [this](pid_t pid) { return by_pid_.count(pid) != 0 || leftovers_.count(pid) != 0; };
  for (const Child& child : UnknownChildren(by_pid_.size() + leftovers_.size(), known))
    leftovers_.insert_or_assign(child.pid, Leftover{child.uid, Deadline::In(config_.leftover)});
  EndLeftovers();
}

// Those whose time is over, but for what other backends of the same user may have come to share. Where no time is given
// nothing is to be shared: they may hold the client's stream, and with it the session. Else all are looked at together,
// and so next time as well: a look reads what /proc tells of every child.
void Launcher::EndLeftovers() {
  const auto due = [](const auto& entry) { return entry.second.deadline.Passed(); };
  const bool look = config_.leftover > absl::ZeroDuration() && std::any_of(leftovers_.begin(), leftovers_.end(), due);
  const std::set<uid_t> users =
      look ? UsersOf([this](pid_t pid) { return by_pid_.count(pid) != 0; }) : std::set<uid_t>();
  for (auto& [pid, leftover] : leftovers_) {
    if (leftover.deadline != Deadline::Never() && leftover.uid != 0 && users.count(leftover.uid) != 0)
      leftover.deadline = Deadline::In(config_.leftover);
    if (leftover.deadline.Passed()) {
      leftover.deadline = Deadline::Never();  // its end makes us look again
      Event("left_behind").Add("killed", pid);
      kill(pid, SIGKILL);
    }
    if (leftover.deadline != Deadline::Never()) deadlines_.emplace(leftover.deadline, kNobody);
  }
}

void Launcher::OnExit(pid_t pid, int status) {
  const auto found = by_pid_.find(pid);
  leftovers_.erase(pid);
  if (found == by_pid_.end()) return;
  const Key key = found->second;
  by_pid_.erase(found);
  kill(-pid, SIGKILL);  // what it left behind in its process group
  if (key == kNobody) return;
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
      return Failed(key, session, EIO);
    case State::kRunning:
    case State::kOutstaying: {
      const uint64_t number = session.session;
      const absl::Duration ran = Deadline::Now() - session.started;
      Forget(key);  // first: where there is no memory for the line, the session is over all the same
      Event("backend_end", number).Add("status", code).Add("ms", absl::ToInt64Milliseconds(ran));
      return;
    }
    case State::kIdle:
    case State::kQueued:
    case State::kHeldBack:
    case State::kConnecting:
      return;  // there is no process in these
  }
}

void Launcher::Rejected(Key key, Session& session, bool wrong_password, const char* why) {
  Event("login_failed", session.session)
      .Add("why", why)
      .Add("attempt", session.attempts)
      .Add("address", ipc::ToText(session.client));
  if (!wrong_password) return Answer(key, session, LoginOutcome::kTemporary);
  penalty_.Failed(session.client, Deadline::Now());
  session.state = State::kHeldBack;
  SetDeadline(key, session, Deadline::In(RejectionDelay(session.attempts)));
}

void Launcher::OnDeadline(Key key, Session& session) {
  switch (session.state) {
    case State::kQueued:
      return StartAttempt(key, session);
    case State::kHeldBack:
      return Answer(key, session,
                    session.attempts < config_.login_attempts ? LoginOutcome::kRejected : LoginOutcome::kRejectedLast);
    case State::kChecking:
      EndAttempt(session);
      return Rejected(key, session, false, "time");
    case State::kOutstaying:
      // Its end was missed for want of memory; and to kill(2), -1 is everybody.
      if (session.pid < 0) return Forget(key);
      // Its end is told by OnExit().
      Event("backend_killed", session.session).Add("why", "client_gone");
      SetDeadline(key, session, Deadline::Never());
      kill(-session.pid, SIGKILL);
      kill(session.pid, SIGKILL);
      return;
    case State::kConnecting:
      return session.connect_by.Passed() ? ConnectFailed(key, session, ETIMEDOUT) : TryConnect(key, session);
    default:
      Event("exec_failed", session.session).Add("why", "time");
      return Forget(key);
  }
}

// The end of an attempt that did not start a backend.
void Launcher::Answer(Key key, Session& session, LoginOutcome outcome) {
  EndAttempt(session);
  session.credentials.Reset();
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
  by_pid_[session.pid] = kNobody;
  session.pid = -1;
}

void Launcher::Forget(Key key) {
  Session& session = sessions_.at(key);
  if (session.state == State::kChecking)
    Event("login_failed", session.session)
        .Add("why", "abandoned")
        .Add("attempt", session.attempts)
        .Add("address", ipc::ToText(session.client));
  EndAttempt(session);
  SetDeadline(key, session, Deadline::Never());
  CloseShared(session.backend_socket);
  CloseShared(session.tether);
  sessions_.erase(key);  // closes the line and the life pipe
}

}  // namespace postern::backendlauncher
