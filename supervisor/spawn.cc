#include "supervisor/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/process.h"

namespace postern::supervisor {
namespace {

// Before the fork, so that the child allocates nothing.
struct Child {
  std::vector<std::string> arguments;
  std::vector<char*> argument_pointers;
  std::vector<int> fds;     // wanted as 0, 1, 2, 3, ...
  std::vector<int> parked;  // the same, out of the way
  bool user_namespace;
  std::string uid_map, gid_map;
};

bool WriteFile(const char* path, absl::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  const bool ok = fd >= 0 && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return ok;
}

[[noreturn]] void RunChild(Child& child) {
  // user_namespaces(7): an unprivileged process may map its own ids, once it has given up setgroups(2).
  if (child.user_namespace &&
      (!WriteFile("/proc/self/setgroups", "deny") || !WriteFile("/proc/self/uid_map", child.uid_map) ||
       !WriteFile("/proc/self/gid_map", child.gid_map)))
    _exit(base::kExitTemporary);
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_IGN);  // a log that nobody reads must not kill the logger
  const int count = static_cast<int>(child.fds.size());
  for (int i = 0; i < count; ++i)
    if ((child.parked[static_cast<size_t>(i)] = fcntl(child.fds[static_cast<size_t>(i)], F_DUPFD_CLOEXEC, count)) < 0)
      _exit(base::kExitTemporary);
  for (int i = 0; i < count; ++i)
    if (dup2(child.parked[static_cast<size_t>(i)], i) != i) _exit(base::kExitTemporary);
  // Everything of ours is close-on-exec; what somebody left open in us is not the role's business either.
  close_range(static_cast<unsigned>(count), ~0U, CLOSE_RANGE_CLOEXEC);
  char* const environment[] = {nullptr};
  execve(child.argument_pointers[0], child.argument_pointers.data(), environment);
  _exit(base::kExitConfiguration);
}

}  // namespace

absl::StatusOr<pid_t> Spawn(const RolePlan& role, const NamedFds& fds, int stderr_fd) {
  const base::UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return absl::ErrnoToStatus(errno, "/dev/null");
  Child child;
  std::vector<std::string> names;
  child.fds = {null.get(), null.get(), stderr_fd >= 0 ? stderr_fd : null.get()};
  for (const auto& [name, fd] : fds) {
    names.push_back(name);
    child.fds.push_back(fd);
  }
  child.parked.resize(child.fds.size());
  std::string joined;
  for (const std::string& name : names) absl::StrAppend(&joined, joined.empty() ? "" : ",", name);
  child.arguments = {role.binary, absl::StrCat("--fds=", joined), absl::StrCat("--policy=", role.policy_path),
                     absl::StrCat("--identity=", role.identity.uid, ":", role.identity.gid)};
  child.arguments.insert(child.arguments.end(), role.options.begin(), role.options.end());
  for (const std::string& argument : child.arguments)
    child.argument_pointers.push_back(const_cast<char*>(argument.c_str()));
  child.argument_pointers.push_back(nullptr);
  child.user_namespace = role.policy.pid && !StartedAsRoot();
  child.uid_map = absl::StrCat(getuid(), " ", getuid(), " 1");
  child.gid_map = absl::StrCat(getgid(), " ", getgid(), " 1");

  unsigned long flags = SIGCHLD;
  if (role.policy.pid) flags |= CLONE_NEWPID;
  if (child.user_namespace) flags |= CLONE_NEWUSER;
  // Like fork(2), but into new namespaces: glibc has no wrapper for that.
  const long pid = syscall(SYS_clone, flags, nullptr, nullptr, nullptr, 0L);
  if (pid < 0) return absl::UnavailableError(absl::StrCat("clone: ", strerror(errno)));
  if (pid == 0) RunChild(child);
  return static_cast<pid_t>(pid);
}

}  // namespace postern::supervisor
