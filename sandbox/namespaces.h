#ifndef POSTERN_SANDBOX_NAMESPACES_H_
#define POSTERN_SANDBOX_NAMESPACES_H_

#include "absl/status/status.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// The namespaces the policy wants to be new, but not pid. Without `privileged` in a user namespace that maps the
// caller's own uid and gid and nothing else; all capabilities in it are then the caller's. Needs /proc.
absl::Status UnshareNamespaces(const Policy& policy, bool privileged);

// Makes the root of this mount namespace a read-only tmpfs without an entry, detaches all that was mounted, and looks
// that it is so. Open descriptors go on leading to where they led.
absl::Status EmptyRoot();

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_NAMESPACES_H_
