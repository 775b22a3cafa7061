#ifndef POSTERN_SANDBOX_LIMITS_H_
#define POSTERN_SANDBOX_LIMITS_H_

#include <vector>

#include "absl/status/status.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// Both allocate nothing unless they fail.
absl::Status SetLimits(const std::vector<Limit>& limits);  // soft and hard; never above the hard limit there is
// PR_SET_MDWE. `*missing` says that the kernel refused and `need` is kTry.
absl::Status DenyMemoryExec(Need need, bool* missing);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_LIMITS_H_
