#ifndef POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_
#define POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_

#include <sys/types.h>

#include <set>
#include <vector>

#include "absl/functional/function_ref.h"

namespace postern::backendlauncher {

struct Child {
  pid_t pid;
  uid_t uid;  // real
};

// Children of this process that it does not know. Every backend is started as a subreaper (prctl(2),
// PR_SET_CHILD_SUBREAPER), so that what detaches itself from its parent stays the backend's until that ends, and only
// then becomes ours: such a process belongs to nobody any more. `known_count` is the number of children, dead ones
// included, for which `known` is true. Pids are those of this process's own PID namespace. Where /proc does not tell
// (it is not mounted, or hides the processes of others): none.
std::vector<Child> UnknownChildren(size_t known_count, absl::FunctionRef<bool(pid_t)> known);

// Who the children are for which `counts` is true. Looks at all there are, some 20 microseconds each.
std::set<uid_t> UsersOf(absl::FunctionRef<bool(pid_t)> counts);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_
