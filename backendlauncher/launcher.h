#ifndef POSTERN_BACKENDLAUNCHER_LAUNCHER_H_
#define POSTERN_BACKENDLAUNCHER_LAUNCHER_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backendlauncher/exec.h"
#include "backendlauncher/penalty.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ipc/channel.h"

namespace postern::backendlauncher {

// Who checks the password, and how the backend is reached.
enum class Login {
  kCheckpassword,  // checkpassword, which then becomes the backend
  kBackend,        // a backend that we start
  kConnect,        // a backend that listens on a socket
};

struct Service {
  std::string name;
  Login login = Login::kCheckpassword;
  std::vector<std::string> checkpassword, backend, environment;
  Confinement confinement;  // of the backend
  User user;                // of checkpassword or, with kBackend, of the backend
  // kConnect:
  std::string connect;  // the address as configured, for the log
  sockaddr_storage connect_address = {};
  socklen_t connect_octets = 0;
  int proxy_version = 0;  // of the PROXY protocol; 0: none
};

struct Config {
  int login_attempts = 3;                          // per session
  int login_penalty = 10;                          // failures of one address that are free; 0: all
  absl::Duration backend_end = absl::Seconds(60);  // how long a backend may outstay its client
  absl::Duration leftover = absl::ZeroDuration();  // and what it leaves behind, the last backend of its user
  std::vector<Service> services;
};

// How long the answer to the n-th rejected attempt of a session is held back: 1, 2, 4 ... seconds.
absl::Duration RejectionDelay(int attempt);

// The event loop of the launcher: one Session per launch line. It reads fixed-size messages only; what the client
// typed passes by as a pipe.
class Launcher {
 public:
  Launcher(Config config, ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kSupervisor> supervisor,
           ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kAcceptor> acceptor, base::UniqueFd stderr_socket,
           base::UniqueFd begin);

  // Before sealing: takes its descriptors from the system.
  absl::Status Prepare();
  // Until the supervisor is gone. As pid 1 of the PID namespace its end is the end of every backend.
  absl::Status Serve();

 private:
  enum class State {
    kIdle,         // waiting for the broker's word
    kQueued,       // an attempt waits: too many from this address have failed
    kChecking,     // checkpassword runs
    kHeldBack,     // rejected, the answer waits
    kAwaitStream,  // begin runs as the user; the broker has been told
    kStarting,     // begin, or the child that becomes the backend, has the stream
    kConnecting,   // to a backend elsewhere
    kRunning,      // the backend runs; the broker may still name a tether
    kOutstaying,   // it runs, and nobody is left between it and the client
  };
  struct Session {
    uint64_t session = 0;
    uint32_t service = 0;
    ipc::Address client, server;
    ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kProtocolBroker> line;
    base::UniqueFd life;
    State state = State::kIdle;
    int attempts = 0;
    ipc::TlsFacts facts;
    base::UniqueFd credentials;     // kQueued
    base::UniqueFd backend_socket;  // kConnect: not connected yet; the broker has it too
    base::Deadline connect_by = base::Deadline::Never();
    base::UniqueFd tether;  // hangs up when nobody is left between client and backend
    pid_t pid = -1;         // of the attempt or the backend; leader of its process group
    ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kBegin> begin;
    base::Deadline deadline = base::Deadline::Never();
    absl::Duration started;
  };
  // In epoll's data: which of a session's descriptors it is, or one of ours.
  enum class Source : uint64_t { kSupervisor, kAcceptor, kSignals, kLine, kBegin, kBackendSocket, kTether };
  using Key = uint64_t;
  static constexpr Key kNobody = 0;

  absl::Status Watch(int fd, Source source, Key key, uint32_t events);
  void OnNoMemory();
  absl::StatusOr<bool> Turn();
  void CloseShared(base::UniqueFd& fd);
  absl::Status OnEvent(Source source, Key key);
  absl::Status OnLaunchLine();
  void OnLine(Key key, Session& session);
  void OnLogin(Key key, Session& session);
  void OnLaunch(Key key, Session& session);
  void OnConnect(Key key, Session& session);
  void TryConnect(Key key, Session& session);
  void ConnectFailed(Key key, Session& session, int error);
  void OnStream(Key key, Session& session);
  void OnTether(Key key, Session& session);
  void OnBegin(Key key, Session& session);
  void OnAuthenticated(Key key, Session& session);
  void OnBackendSocket(Key key, Session& session);
  void OnTetherGone(Key key, Session& session);
  void OnExit(pid_t pid, int status);
  void OnDeadline(Key key, Session& session);
  void Reap();
  void FindLeftovers();
  void EndLeftovers();
  absl::Status OfferSocket(Session& session);
  void BadRequest(Key key, const Session& session, const absl::Status& status);
  void StartAttempt(Key key, Session& session);
  void Started(Key key, Session& session);
  void Failed(Key key, Session& session, int error);
  void Rejected(Key key, Session& session, bool wrong_password, const char* why);
  void Answer(Key key, Session& session, ipc::LoginOutcome outcome);
  void SetDeadline(Key key, Session& session, base::Deadline deadline);
  void EndAttempt(Session& session);
  void Forget(Key key);

  const Config config_;
  const ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kSupervisor> supervisor_;
  const ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kAcceptor> acceptor_;
  const base::UniqueFd stderr_;
  const base::UniqueFd begin_;
  base::UniqueFd null_, signals_, epoll_;
  Key next_key_ = 1;
  std::map<Key, Session> sessions_;
  std::map<pid_t, Key> by_pid_;  // every child that we have started and not reaped; kNobody: killed
  struct Leftover {
    uid_t uid;
    base::Deadline deadline;  // Never: killed
  };
  std::map<pid_t, Leftover> leftovers_;  // what backends left behind
  Penalty penalty_;
  bool look_for_ends_ = false;                          // SIGCHLD has been taken, and not all that it stood for
  std::set<std::pair<base::Deadline, Key>> deadlines_;  // kNobody: of leftovers
};

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_LAUNCHER_H_
