#ifndef POSTERN_SUPERVISOR_PROBES_H_
#define POSTERN_SUPERVISOR_PROBES_H_

#include <sys/types.h>

#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "supervisor/plan.h"

namespace postern::supervisor {

// The backends that a broker asks what they can do, when it starts and before any client is there.
class Probes {
 public:
  // Ends what is left of the last time and starts a program, or a connection, for each of plan.asked, and gives the
  // broker's end of each, in that order. Where the system refuses one, that is a socket whose other end is closed: mail
  // goes on without. `log` and `stderr_fd` are borrowed.
  absl::StatusOr<std::vector<base::UniqueFd>> Start(const Plan& plan, int log, int stderr_fd);
  // Ends them all; OnEnd() hears of it.
  void End();
  // Whether the process was one of them.
  bool OnEnd(pid_t pid);
  bool running() const { return !pids_.empty(); }

 private:
  std::vector<pid_t> pids_;  // each is pid 1 of a namespace: what it has started ends with it
};

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_PROBES_H_
