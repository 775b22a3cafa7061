#ifndef POSTERN_SANDBOX_PRIVILEGES_H_
#define POSTERN_SANDBOX_PRIVILEGES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace postern::sandbox {

// One bit per capability, as in /proc/self/status. The names are a policy's, without "cap_".
absl::StatusOr<uint64_t> CapabilityMask(const std::vector<std::string>& names);

// May this process take capabilities from its bounding set and set securebits?
bool MayShrinkBoundingSet();

// All of these expect the capabilities for it, and are called in this order.
absl::Status ShrinkBoundingSet(uint64_t keep);
// Groups none, then gid, then uid; real, effective and saved. Permitted capabilities stay, for the steps that follow.
absl::Status BecomeUser(uid_t uid, gid_t gid);
// uid 0 means nothing any more, a change of uid neither, and that cannot be changed.
absl::Status LockSecurebits();
// Permitted and effective become `keep`, inheritable and ambient none.
absl::Status KeepCapabilities(uint64_t keep);
// All that is permitted also takes effect, which setresuid() ended.
absl::Status RaisePermitted();

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_PRIVILEGES_H_
