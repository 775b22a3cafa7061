#include "backendlauncher/confine.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace postern::backendlauncher {
namespace {

// All of them: libc's signal() leaves out the two that it keeps for threads, which a parent may have had ignored.
void ResetSignals() {
  struct {  // the kernel's sigaction, not libc's
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
  } const kDefault = {SIG_DFL, 0, nullptr, 0};
  for (int number = 1; number < NSIG; ++number)
    syscall(SYS_rt_sigaction, number, &kDefault, nullptr, sizeof kDefault.mask);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Both limits, so that it stays; one that is lower already stays as it is.
bool Limit(__rlimit_resource resource, int64_t value) {
  if (value == Confinement::kInherited) return true;
  rlimit limit;
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, static_cast<rlim_t>(value));
  limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
  return setrlimit(resource, &limit) == 0;
}

bool Nice(int64_t more) {
  if (more == 0) return true;
  errno = 0;
  const int now = getpriority(PRIO_PROCESS, 0);
  if (now == -1 && errno != 0) return false;
  return setpriority(PRIO_PROCESS, 0, std::min(now + static_cast<int>(more), 19)) == 0;
}

}  // namespace

std::string ToWord(const Confinement& c) {
  return absl::StrCat(c.no_new_privs ? 1 : 0, ",", c.memory_octets, ",", c.open_files, ",", c.processes, ",",
                      c.cpu_seconds, ",", c.file_octets, ",", c.nice);
}

absl::StatusOr<Confinement> FromWord(absl::string_view word) {
  Confinement c;
  int64_t no_new_privs = 1;
  int64_t* const fields[] = {&no_new_privs,  &c.memory_octets, &c.open_files, &c.processes,
                             &c.cpu_seconds, &c.file_octets,   &c.nice};
  const std::vector<absl::string_view> numbers = absl::StrSplit(word, ',');
  if (numbers.size() != std::size(fields)) return absl::InvalidArgumentError("not the words of a confinement");
  for (size_t i = 0; i < numbers.size(); ++i)
    if (!absl::SimpleAtoi(numbers[i], fields[i]) || *fields[i] < Confinement::kInherited)
      return absl::InvalidArgumentError("not a number of a confinement");
  c.no_new_privs = no_new_privs != 0;
  return c;
}

int Confine(const Confinement& confinement) {
  ResetSignals();
  umask(077);
  const bool done = Limit(RLIMIT_CORE, 0) && Nice(confinement.nice) && Limit(RLIMIT_NOFILE, confinement.open_files) &&
                    Limit(RLIMIT_NPROC, confinement.processes) && Limit(RLIMIT_CPU, confinement.cpu_seconds) &&
                    Limit(RLIMIT_FSIZE, confinement.file_octets) && Limit(RLIMIT_DATA, confinement.memory_octets) &&
                    Limit(RLIMIT_AS, confinement.memory_octets) &&
                    (!confinement.no_new_privs || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  return done ? 0 : (errno != 0 ? errno : EINVAL);
}

}  // namespace postern::backendlauncher
