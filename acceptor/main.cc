// acceptor: accepts, counts, and hands each client on with the two things that make it a session: the launch line (the
// right to log in) and the life pipe (whose hang-up says that the session is over). It never reads from a client, and
// it is the one authority on who the client is.

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "acceptor/slots.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "ipc/address.h"
#include "ipc/channel.h"
#include "role/role.h"

namespace postern::acceptor {
namespace {

using base::UniqueFd;
using ipc::Role;

struct Listener {
  uint32_t service = 0;
  std::string service_name;
  UniqueFd socket;
};

struct Config {
  int sessions = 0, sessions_per_address = 0;
  std::vector<Listener> listeners;
};

struct Peers {
  ipc::Channel<Role::kAcceptor, Role::kSupervisor> supervisor;
  ipc::Channel<Role::kAcceptor, Role::kProtocolBroker> broker;
  ipc::Channel<Role::kAcceptor, Role::kBackendLauncher> launcher;
};

// A session is known by the read end of its life pipe alone; nobody ever writes to that pipe.
struct Life {
  uint64_t session;
  ipc::Address client;
  UniqueFd pipe;
  absl::Duration since;
};

constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);  // after the system had no descriptor or memory for us

absl::StatusOr<Config> ReadConfig(const role::Options& options, base::InheritedFds& fds) {
  Config config;
  for (const auto& option : options) {
    if (option.first == "sessions") {
      ASSIGN_OR_RETURN(config.sessions, role::Number(option));
    } else if (option.first == "sessions-per-address") {
      ASSIGN_OR_RETURN(config.sessions_per_address, role::Number(option));
    } else if (option.first == "listener") {
      Listener listener;
      ASSIGN_OR_RETURN(const int service, role::Number(option));
      listener.service = static_cast<uint32_t>(service);
      listener.socket = fds.Take("listener");
      if (!listener.socket.valid()) return absl::InvalidArgumentError("more --listener than descriptors");
      config.listeners.push_back(std::move(listener));
    } else if (option.first == "service") {
      if (config.listeners.empty()) return absl::InvalidArgumentError("--service before --listener");
      config.listeners.back().service_name = option.second;
    }
  }
  return config;
}

// The event loop. Its descriptors are the listeners, the control channel, and a life pipe for every session.
class Acceptor {
 public:
  Acceptor(Config config, Peers peers)
      : slots_(static_cast<size_t>(config.sessions), static_cast<size_t>(config.sessions_per_address)),
        listeners_(std::move(config.listeners)),
        peers_(std::move(peers)) {}

  // Before sealing: what takes descriptors or chance from the system.
  absl::Status Prepare();
  // Returns ok when the supervisor has gone, or when it asked to drain and no session is left.
  absl::Status Serve();

 private:
  absl::Status Watch(int fd, uint64_t tag, uint32_t events = EPOLLIN);
  absl::Status Listen(bool on);
  absl::Status Accept(size_t listener);
  absl::Status HandOn(size_t listener, UniqueFd client, const ipc::Address& from, const ipc::Address& to);
  absl::Status OnControl();
  void End(uint64_t session);

  // In epoll's data: a listener's index, the control channel, or a session's number above both.
  static constexpr uint64_t kControl = 1 << 16;
  static constexpr uint64_t kFirstSession = kControl + 1;

  Slots slots_;
  std::vector<Listener> listeners_;
  Peers peers_;
  UniqueFd epoll_;
  uint64_t next_tag_ = kFirstSession;
  uint32_t next_session_ = 0;
  std::map<uint64_t, Life> lives_;
  bool listening_ = false;
  bool starved_ = false;  // the last accept(2) found no descriptor or memory
  bool draining_ = false;
};

absl::Status Acceptor::Prepare() {
  // Where the numbering of sessions starts, so that two runs are told apart in one log. No secret.
  if (getrandom(&next_session_, sizeof next_session_, 0) != sizeof next_session_)
    return absl::ErrnoToStatus(errno, "getrandom");
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return absl::ErrnoToStatus(errno, "epoll_create1");
  RETURN_IF_ERROR(Watch(peers_.supervisor.fd(), kControl));
  return Listen(true);
}

absl::Status Acceptor::Watch(int fd, uint64_t tag, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = tag;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return absl::ErrnoToStatus(errno, "epoll_ctl");
  return absl::OkStatus();
}

absl::Status Acceptor::Listen(bool on) {
  if (on == listening_) return absl::OkStatus();
  listening_ = on;
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (on) {
      RETURN_IF_ERROR(Watch(listeners_[i].socket.get(), i));
    } else if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listeners_[i].socket.get(), nullptr) != 0) {
      return absl::ErrnoToStatus(errno, "epoll_ctl");
    }
  }
  return absl::OkStatus();
}

absl::Status Acceptor::Serve() {
  RETURN_IF_ERROR(peers_.supervisor.Send(ipc::Ready{}));
  base::Deadline pause_over = base::Deadline::Never();
  while (!draining_ || !lives_.empty()) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, pause_over.PollMillis());
    if (count < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "epoll_wait");
    if (pause_over.Passed()) {
      pause_over = base::Deadline::Never();
      if (!draining_) RETURN_IF_ERROR(Listen(true));
    }
    for (int i = 0; i < count; ++i) {
      const uint64_t tag = events[i].data.u64;
      if (tag == kControl) {
        absl::Status status = OnControl();
        if (absl::IsOutOfRange(status)) return absl::OkStatus();
        RETURN_IF_ERROR(status);
      } else if (tag >= kFirstSession) {
        End(tag);
      } else if (listening_) {
        absl::Status status = Accept(tag);
        if (absl::IsUnavailable(status)) {
          // Waiting clients stay in the kernel's queue meanwhile. Told once, however long it lasts.
          if (!std::exchange(starved_, true)) base::Event("accept_paused").AddText("error", status.message());
          RETURN_IF_ERROR(Listen(false));
          pause_over = base::Deadline::In(kAcceptPause);
        } else {
          RETURN_IF_ERROR(status);
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Acceptor::OnControl() {
  absl::Status status = peers_.supervisor.Receive<ipc::Drain>().status();
  if (absl::IsUnavailable(status)) return absl::OkStatus();
  RETURN_IF_ERROR(status);
  draining_ = true;
  RETURN_IF_ERROR(Listen(false));
  listeners_.clear();  // with the supervisor's copies gone too, new clients are refused by the kernel
  base::Event("draining").Add("sessions", lives_.size());
  return absl::OkStatus();
}

absl::Status Acceptor::Accept(size_t listener) {
  sockaddr_storage address = {};
  socklen_t octets = sizeof address;
  UniqueFd client(
      accept4(listeners_[listener].socket.get(), reinterpret_cast<sockaddr*>(&address), &octets, SOCK_CLOEXEC));
  if (!client.valid()) {
    switch (errno) {
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        return absl::UnavailableError(absl::StrCat("accept4: ", strerror(errno)));
      case EBADF:
      case EINVAL:
      case ENOTSOCK:
      case EFAULT:
        return absl::ErrnoToStatus(errno, "accept4");
      default:
        return absl::OkStatus();  // the client gave up in the queue, or its network failed: accept(2), "Error handling"
    }
  }
  starved_ = false;
  const ipc::Address from = ipc::FromSockaddr(address);
  octets = sizeof address;
  if (getsockname(client.get(), reinterpret_cast<sockaddr*>(&address), &octets) != 0)
    return absl::ErrnoToStatus(errno, "getsockname");
  return HandOn(listener, std::move(client), from, ipc::FromSockaddr(address));
}

absl::Status Acceptor::HandOn(size_t listener, UniqueFd client, const ipc::Address& from, const ipc::Address& to) {
  const uint32_t session = ++next_session_ != 0 ? next_session_ : ++next_session_;
  const Slots::Answer answer = slots_.Take(from);
  if (answer != Slots::Answer::kTaken) {
    base::Event("refused", session)
        .Add("address", ipc::ToText(from))
        .Add("why", answer == Slots::Answer::kAllInUse ? "sessions" : "sessions_per_address");
    return absl::OkStatus();
  }
  base::Event("accept", session)
      .Add("address", ipc::ToText(from))
      .Add("port", from.port)
      .Add("service", listeners_[listener].service_name)
      .Add("local", ipc::ToText(to))
      .Add("local_port", to.port);

  auto line = ipc::SocketPair(SOCK_SEQPACKET);
  int life[2] = {-1, -1};
  absl::Status status = line.status();
  if (status.ok() && pipe2(life, O_CLOEXEC) != 0) status = absl::ErrnoToStatus(errno, "pipe2");
  UniqueFd life_read(life[0]), life_write(life[1]);
  // Nothing but the hang-up: an octet in the pipe must not give the slot back.
  if (status.ok()) status = Watch(life_read.get(), next_tag_, 0);
  // The launcher first: a broker whose line nobody holds could only disappoint its client.
  if (status.ok())
    status = peers_.launcher.Send(ipc::LaunchLine{session, listeners_[listener].service, from, to},
                                  {line->first.get(), life_write.get()});
  if (status.ok())
    status = peers_.broker.Send(ipc::Session{session, static_cast<uint32_t>(listener)},
                                {client.get(), life_write.get(), line->second.get()});
  if (!status.ok()) {
    slots_.Free(from);
    base::Event("refused", session)
        .Add("address", ipc::ToText(from))
        .Add("why", "system")
        .AddText("error", status.message());
    return absl::OkStatus();
  }
  lives_.emplace(next_tag_++, Life{session, from, std::move(life_read), base::Deadline::Now()});
  return absl::OkStatus();
}

void Acceptor::End(uint64_t tag) {
  const auto found = lives_.find(tag);
  if (found == lives_.end()) return;
  const Life& life = found->second;
  base::Event("close", life.session)
      .Add("address", ipc::ToText(life.client))
      .Add("ms", absl::ToInt64Milliseconds(base::Deadline::Now() - life.since));
  slots_.Free(life.client);
  lives_.erase(found);  // closes the pipe, which takes it out of epoll
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(role::Start start,
                   role::Begin(argc, argv, {"sessions", "sessions-per-address", "listener", "service"}));
  ASSIGN_OR_RETURN(Config config, ReadConfig(start.options, start.fds));
  Peers peers;
  peers.supervisor = ipc::Channel<Role::kAcceptor, Role::kSupervisor>(std::move(start.control));
  peers.broker = ipc::Channel<Role::kAcceptor, Role::kProtocolBroker>(start.fds.Take("protocolbroker"));
  peers.launcher = ipc::Channel<Role::kAcceptor, Role::kBackendLauncher>(start.fds.Take("backendlauncher"));
  RETURN_IF_ERROR(start.fds.Finished());

  ASSIGN_OR_RETURN(const sandbox::Seal seal, sandbox::Seal::Prepare(start.policy, "serve"));
  Acceptor acceptor(std::move(config), std::move(peers));
  RETURN_IF_ERROR(acceptor.Prepare());
  RETURN_IF_ERROR(seal.Apply());
  return acceptor.Serve();
}

}  // namespace
}  // namespace postern::acceptor

int main(int argc, char** argv) { return postern::base::Finish(postern::acceptor::Run(argc, argv)); }
