#include "backendlauncher/exec.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/process.h"
#include "ipc/channel.h"

namespace postern::backendlauncher {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Argument list and environment for execve(2), made before the fork: the child allocates nothing.
struct Exec {
  Exec(const std::vector<std::string>& argument_strings, const std::vector<std::string>& environment_strings)
      : arguments(Pointers(argument_strings)), environment(Pointers(environment_strings)) {}
  void operator()() const { execve(arguments[0], arguments.data(), environment.data()); }

  const std::vector<char*> arguments, environment;
};

constexpr size_t kPlacesMax = 6;
constexpr int kBackendStatusFd = 3;  // close-on-exec: the backend never sees it

// The supervisor has raised the soft limit for its own roles. Programs that use select(2), or close all that they could
// have open, want what a login would give them.
void LowerDescriptorLimit() {
  constexpr rlim_t kUsual = 1024;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kUsual) return;
  limit.rlim_cur = kUsual;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Makes sources[i] descriptor i. First all out of the way, so that none is overwritten before it is copied. The copies
// are not close-on-exec. Everything else is: the limit comes down only now, as the launcher may have thousands.
bool PlaceFds(absl::Span<const int> sources) {
  int high[kPlacesMax];
  for (size_t i = 0; i < sources.size(); ++i) {
    high[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, static_cast<int>(sources.size()));
    if (high[i] < 0) return false;
  }
  for (size_t i = 0; i < sources.size(); ++i)
    if (dup2(high[i], static_cast<int>(i)) != static_cast<int>(i)) return false;
  LowerDescriptorLimit();
  return true;
}

bool BecomeUser(const User& user) {
  if (getuid() == user.uid && getgid() == user.gid) return true;
  return setgroups(user.groups.size(), user.groups.data()) == 0 && setresgid(user.gid, user.gid, user.gid) == 0 &&
         setresuid(user.uid, user.uid, user.uid) == 0;
}

// What a child is before it gets descriptors and a user.
void Detach() {
  setsid();                          // no terminal, and a process group to kill
  prctl(PR_SET_CHILD_SUBREAPER, 1);  // what it starts and lets go stays its own; see leftovers.h
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
}

absl::Status NoProcess() { return absl::UnavailableError(absl::StrCat("fork: ", strerror(errno))); }

}  // namespace

absl::StatusOr<pid_t> StartCheckpassword(const CheckpasswordCommand& command, const CheckpasswordFds& fds) {
  std::vector<std::string> arguments = command.checkpassword;
  arguments.push_back(absl::StrCat("/proc/self/fd/", kBeginFd));
  arguments.push_back(absl::StrCat(kStatusFd));
  arguments.push_back(ToWord(command.confinement));
  arguments.push_back(absl::StrCat(command.backend_environment.size()));
  arguments.insert(arguments.end(), command.backend_environment.begin(), command.backend_environment.end());
  arguments.insert(arguments.end(), command.backend.begin(), command.backend.end());
  const Exec exec(arguments, command.environment);
  const pid_t pid = fork();
  if (pid < 0) return NoProcess();
  if (pid > 0) return pid;

  Detach();
  const bool placed = PlaceFds({fds.null, fds.null, fds.log, fds.credentials, fds.status, fds.begin});
  if (placed && BecomeUser(command.user)) exec();
  dprintf(placed ? STDERR_FILENO : fds.log, "cannot execute %s: %s\n", exec.arguments[0], strerror(errno));
  _exit(base::kExitTemporary);
}

absl::StatusOr<pid_t> StartBackend(const BackendCommand& command, const BackendFds& fds) {
  const Exec exec(command.backend, command.environment);
  const pid_t pid = fork();
  if (pid < 0) return NoProcess();
  if (pid > 0) return pid;

  Detach();
  const bool placed = PlaceFds({fds.stream, fds.stream, fds.log, fds.status});
  const int status = placed ? kBackendStatusFd : fds.status;
  const bool ready = placed && fcntl(status, F_SETFD, FD_CLOEXEC) == 0 && BecomeUser(command.user);
  int error = ready ? Confine(command.confinement) : errno;
  if (error == 0) {
    exec();
    error = errno;
  }
  const ipc::Channel<ipc::Role::kBegin, ipc::Role::kBackendLauncher> launcher{base::UniqueFd(status)};
  (void)launcher.Send(ipc::ExecFailed{error == 0 ? EIO : error});
  _exit(base::kExitTemporary);
}

}  // namespace postern::backendlauncher
