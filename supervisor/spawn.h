#ifndef POSTERN_SUPERVISOR_SPAWN_H_
#define POSTERN_SUPERVISOR_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "supervisor/plan.h"

namespace postern::supervisor {

// Descriptors for a role, by the names of its policy. Borrowed: the role gets copies, from 3 upward in this order.
using NamedFds = std::vector<std::pair<std::string, int>>;

// Starts the role's binary in a session of its own (a Ctrl-C is the supervisor's alone to obey), with an empty
// environment and nothing open but `fds` and /dev/null as 0, 1 and 2; `stderr_fd` instead as 2 if it is not -1. In new
// PID (and, if not root, user) namespaces if the policy says so. Unavailable: the system has no process for us.
absl::StatusOr<pid_t> Spawn(const RolePlan& role, const NamedFds& fds, int stderr_fd);

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_SPAWN_H_
