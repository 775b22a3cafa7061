#include "backendlauncher/exec.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/process.h"

namespace postern::backendlauncher {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Puts the descriptors in their places. First all out of the way, so that none is overwritten before it is copied.
bool PlaceFds(const CommandFds& fds) {
  const int sources[] = {fds.null, fds.null, fds.log, fds.credentials, fds.status, fds.begin};
  constexpr int kCount = std::size(sources);
  int high[kCount];
  for (int i = 0; i < kCount; ++i) {
    high[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, kCount);
    if (high[i] < 0) return false;
  }
  for (int i = 0; i < kCount; ++i)
    if (dup2(high[i], i) != i) return false;  // the copy is not close-on-exec
  return true;
}

bool BecomeUser(const Command& command) {
  if (getuid() == command.uid && getgid() == command.gid) return true;
  return setgroups(0, nullptr) == 0 && setresgid(command.gid, command.gid, command.gid) == 0 &&
         setresuid(command.uid, command.uid, command.uid) == 0;
}

// The supervisor has raised the soft limit for its own roles. Programs that use select(2), or close all that they could
// have open, want what a login would give them.
void LowerDescriptorLimit() {
  constexpr rlim_t kUsual = 1024;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= kUsual) return;
  limit.rlim_cur = kUsual;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// In the child: never returns.
[[noreturn]] void Exec(const Command& command, const CommandFds& fds, char** arguments, char** environment) {
  setsid();  // no terminal, and a process group to kill
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  LowerDescriptorLimit();
  if (PlaceFds(fds) && BecomeUser(command)) execve(arguments[0], arguments, environment);
  dprintf(STDERR_FILENO, "cannot execute %s: %s\n", arguments[0], strerror(errno));
  _exit(base::kExitTemporary);
}

}  // namespace

absl::StatusOr<pid_t> Start(const Command& command, const CommandFds& fds) {
  std::vector<std::string> arguments = command.checkpassword;
  arguments.push_back(absl::StrCat("/proc/self/fd/", kBeginFd));
  arguments.push_back(absl::StrCat(kStatusFd));
  arguments.push_back(command.no_new_privs ? "1" : "0");
  arguments.push_back(absl::StrCat(command.backend_environment.size()));
  arguments.insert(arguments.end(), command.backend_environment.begin(), command.backend_environment.end());
  arguments.insert(arguments.end(), command.backend.begin(), command.backend.end());
  // Before the fork: the child allocates nothing.
  const std::vector<char*> argument_pointers = Pointers(arguments),
                           environment_pointers = Pointers(command.environment);
  const pid_t pid = fork();
  if (pid < 0) return absl::UnavailableError(absl::StrCat("fork: ", strerror(errno)));
  if (pid == 0)
    Exec(command, fds, const_cast<char**>(argument_pointers.data()), const_cast<char**>(environment_pointers.data()));
  return pid;
}

}  // namespace postern::backendlauncher
