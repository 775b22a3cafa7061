#ifndef POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_
#define POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_

#include <sys/types.h>

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

// Whether among the children for which `counts` is true there is one of that user. Reads all of them.
bool HasChildOf(uid_t uid, absl::FunctionRef<bool(pid_t)> counts);

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_LEFTOVERS_H_
