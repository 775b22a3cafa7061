#ifndef POSTERN_SANDBOX_NAMESPACES_H_
#define POSTERN_SANDBOX_NAMESPACES_H_

#include <string>

#include "absl/status/status.h"
#include "sandbox/cage.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// The namespaces the policy wants to be new, but not pid. Without `privileged` in a user namespace that maps the
// caller's own uid and gid and nothing else; all capabilities in it are then the caller's. Needs /proc.
absl::Status UnshareNamespaces(const Policy& policy, bool privileged);

// Makes the root of this mount namespace a read-only tmpfs without an entry, detaches all that was mounted, and looks
// that it is so. Open descriptors go on leading to where they led.
absl::Status EmptyRoot();

// Makes all that is mounted read-only in this mount namespace, whoever writes (Linux 5.12). Devices, sockets and pipes
// that are files are not meant by that. With `own_proc` /proc shows the PID namespace of this process.
absl::Status ReadOnlyRoot(bool own_proc);

// Mounts an empty tmpfs on `directory` that is `identity`'s: 4 MiB, without devices, set-id and programs.
absl::Status MountTmpfs(const std::string& directory, const Identity& identity);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_NAMESPACES_H_
