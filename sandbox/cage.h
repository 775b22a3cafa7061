#ifndef POSTERN_SANDBOX_CAGE_H_
#define POSTERN_SANDBOX_CAGE_H_

#include <linux/filter.h>
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

struct Identity {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Names and kinds of what a role was handed, against [descriptors]: a missing, surplus or wrong-kind descriptor is an
// error; directories and O_PATH descriptors are always refused, as they lead out of an empty root. FailedPrecondition.
// A name may repeat only if it is kept with '*', and then may also be absent.
absl::Status CheckDescriptors(const Policy& policy, const std::vector<std::pair<std::string, int>>& fds);

// Irrevocably gives up what the policy does not keep, then reads back from the kernel that it is gone. Order:
// namespaces, root and tmpfs, rlimits, bounding set, groups, gid, uid, securebits (only if no capability is kept),
// capabilities, parent death, dumpable, memory-deny-exec, no_new_privs, landlock, verification, the stage "enter".
//
// Needs /proc, and a process of one thread. An error leaves the process half-way: the caller must exit.
// As root: becomes `identity`, which may be uid 0 only where that is not the machine's root. Otherwise `identity` must
// be the caller's own; new namespaces then come with a user namespace of that one uid, whose capabilities are all given
// up again (so `caps` of the policy is none), supplementary groups stay, and no_new_privs is set in any case. `pid =
// new` is made by the supervisor when it forks: here it is only checked that this is pid 1. What the system refuses is
// Unavailable ("unshare(net,mount): Operation not permitted ..."), what the caller got wrong FailedPrecondition.
absl::Status Enter(const Policy& policy, const Identity& identity);

// A stage, [syscalls NAME] and [limits NAME], compiled once and applied by whoever is to be tightened, e.g. a forked
// worker. Stages stack, and only ever tighten.
class Seal {
 public:
  // NotFound if the policy has no such stage.
  static absl::StatusOr<Seal> Prepare(const Policy& policy, absl::string_view stage);

  // Limits, then the filter. Allocates nothing unless it fails. A stage applied before this one has to allow prlimit64
  // (if this one has limits), prctl (if it says memory-deny-exec) and seccomp. Irrevocable for this thread.
  absl::Status Apply() const;

 private:
  std::vector<Limit> limits_;
  Need memory_deny_exec_ = Need::kNo;
  std::vector<sock_filter> program_;
};

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_CAGE_H_
