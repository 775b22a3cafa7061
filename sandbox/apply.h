#ifndef POSTERN_SANDBOX_APPLY_H_
#define POSTERN_SANDBOX_APPLY_H_

// The single steps into a cage; cage.cc puts them in order. Each names itself in its error.

#include <vector>

#include "absl/status/status.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// Lowers what is higher; never raises.
absl::Status ApplyLimits(const std::vector<Limit>& limits);
// PR_SET_MDWE. kTry: no error where the kernel does not know it.
absl::Status DenyExecutableMemory(Need need);

// The namespaces of the policy but pid, which the supervisor makes. `user_namespace`: with one of those first, mapping
// the caller's uid and gid to themselves and nothing else (user_namespaces(7)).
absl::Status NewNamespaces(const Policy& policy, bool user_namespace);
// Makes an empty, read-only tmpfs the root of this mount namespace, which must be the process's own, and checks that it
// is both. Nothing of the old tree stays reachable by name.
absl::Status EmptyRoot();
// Landlock with every access right, network operation and scope that the kernel knows, and no exception.
absl::Status DenyWithLandlock(Need need);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_APPLY_H_
