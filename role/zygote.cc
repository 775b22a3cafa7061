#include "role/zygote.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/log.h"

namespace postern::role {

absl::StatusOr<Zygote> Zygote::Make(size_t sessions_max) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return absl::ErrnoToStatus(errno, "sigprocmask");
  Zygote zygote;
  zygote.workers_max_ = 2 * sessions_max;
  zygote.child_signals_ = base::UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!zygote.child_signals_.valid()) return absl::ErrnoToStatus(errno, "signalfd");
  return zygote;
}

absl::Status Zygote::Serve(int control, int requests, absl::FunctionRef<absl::Status()> on_request) {
  pollfd fds[] = {{control, 0, 0}, {child_signals_.get(), POLLIN, 0}, {requests, POLLIN, 0}};
  while (true) {
    if (poll(fds, 3, -1) < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (fds[0].revents != 0) return absl::OkStatus();
    if (fds[1].revents != 0) Reap();
    if (fds[2].revents != 0) {
      absl::Status status = on_request();
      if (!status.ok()) return status;
    }
  }
}

absl::Status Zygote::Fork(uint64_t session, absl::FunctionRef<absl::Status()> work) {
  if (sessions_.size() >= workers_max_) {
    base::Event("refused", session).Add("why", "workers");
    return absl::OkStatus();
  }
  const pid_t pid = fork();
  if (pid < 0) {
    // No process to be had now: this session ends, the role goes on.
    base::Event("refused", session).Add("why", "fork").Add("errno", errno);
    return absl::OkStatus();
  }
  if (pid > 0) {
    sessions_[pid] = session;
    return absl::OkStatus();
  }
  child_signals_.Reset();
  base::SetLogSession(session);
  const absl::Status status = work();
  if (!status.ok()) base::Event("worker_failed").AddText("error", status.message());
  _exit(status.ok() ? 0 : 1);
}

void Zygote::Reap() {
  signalfd_siginfo info;
  while (read(child_signals_.get(), &info, sizeof info) > 0) {
  }
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = sessions_.find(pid);
    if (found == sessions_.end()) continue;
    if (WIFSIGNALED(status))
      base::Event("worker_died", found->second).Add("worker", pid).Add("signal", WTERMSIG(status));
    sessions_.erase(found);
  }
}

}  // namespace postern::role
