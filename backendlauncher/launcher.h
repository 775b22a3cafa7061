#ifndef POSTERN_BACKENDLAUNCHER_LAUNCHER_H_
#define POSTERN_BACKENDLAUNCHER_LAUNCHER_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "backendlauncher/exec.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ipc/channel.h"

namespace postern::backendlauncher {

struct Service {
  std::string name;
  std::vector<std::string> checkpassword, backend, environment;
  bool no_new_privs = true;
};

struct Config {
  int login_attempts = 3;  // per session
  std::vector<Service> services;
  uid_t checkpassword_uid = 0;  // root where we may become root, else ourselves
  gid_t checkpassword_gid = 0;
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
    kChecking,     // checkpassword runs
    kHeldBack,     // rejected, the answer waits
    kAwaitStream,  // begin runs as the user; the broker has been told
    kStarting,     // begin has the stream
    kRunning,      // the backend runs; the line is closed
  };
  struct Session {
    uint64_t session = 0;
    uint32_t service = 0;
    ipc::Address client, server;
    ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kProtocolBroker> line;
    base::UniqueFd life;
    State state = State::kIdle;
    int attempts = 0;
    pid_t pid = -1;  // of the attempt or the backend; leader of its process group
    ipc::Channel<ipc::Role::kBackendLauncher, ipc::Role::kBegin> begin;
    base::Deadline deadline = base::Deadline::Never();
    absl::Duration started;
  };
  // In epoll's data: which of a session's descriptors it is, or one of ours.
  enum class Source : uint64_t { kSupervisor, kAcceptor, kSignals, kLine, kBegin };
  using Key = uint64_t;

  absl::Status Watch(int fd, Source source, Key key);
  absl::Status OnEvent(Source source, Key key);
  absl::Status OnLaunchLine();
  void OnLine(Key key, Session& session);
  void OnLogin(Key key, Session& session);
  void OnStream(Key key, Session& session);
  void OnBegin(Key key, Session& session);
  void OnExit(pid_t pid, int status);
  void OnDeadline(Key key, Session& session);
  void Reap();
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
  std::map<pid_t, Key> by_pid_;
  std::set<std::pair<base::Deadline, Key>> deadlines_;
};

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_LAUNCHER_H_
