#ifndef POSTERN_SUPERVISOR_SUPERVISOR_H_
#define POSTERN_SUPERVISOR_SUPERVISOR_H_

#include <sys/types.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline.h"
#include "base/unique_fd.h"
#include "ipc/channel.h"
#include "supervisor/plan.h"
#include "supervisor/probes.h"
#include "supervisor/spawn.h"

namespace postern::supervisor {

// Opens the listeners, joins the roles, starts them and starts again what dies, until TERM (which drains) or INT. It
// never sees an octet from the network.
class Supervisor {
 public:
  explicit Supervisor(Plan plan) : plan_(std::move(plan)) {}

  // Opens everything. Unavailable: an address is in use, or the system refuses something.
  absl::Status Prepare();
  // Returns when all is over and no process of ours is left. `notification_fd` (-1: none) gets a newline once every
  // role is ready, and is closed (s6's readiness protocol). An error of a role before that ends all and is returned.
  absl::Status Run(int notification_fd);

 private:
  using Pair = std::pair<base::UniqueFd, base::UniqueFd>;
  // A role that died, whose workers go on with their sessions.
  struct Lingering {
    base::UniqueFd control;
    pid_t group;  // of the role's process group, which the workers share
  };
  struct Running {
    pid_t pid = -1;
    base::UniqueFd control;
    bool ready = false;
    absl::Duration since;
    absl::Duration backoff;
    base::Deadline start_at = base::Deadline::Never();  // when it is to be started again
    base::Deadline ready_by = base::Deadline::Never();  // or it is killed
  };

  absl::Status Listen();
  absl::Status MakeEdges();
  absl::Status Start(RoleId role);
  absl::Status AddFiles(RoleId role, NamedFds* fds, std::vector<base::UniqueFd>* own);
  absl::Status StartAll();
  void Announce() const;
  void Notify(int fd);
  absl::Status OnControl(RoleId role);
  // True: all is over.
  bool OnSignals();
  absl::Status Reap();
  absl::Status OnRoleEnd(RoleId role, int status);
  absl::Status StartDue();
  absl::Status PollOnce(const base::Deadline& until);
  base::Deadline NextStart() const;
  void Drain();
  void EndAll();
  void WaitForChildren(const base::Deadline& deadline);

  const Plan plan_;
  std::vector<base::UniqueFd> listeners_;
  std::vector<Pair> edges_;            // as kEdges
  std::array<Pair, kRoles + 2> logs_;  // first: the writer's end, second: the logger's; the last: ours, the probes'
  std::array<Running, kRoles> roles_;
  std::vector<Lingering> lingering_;
  Probes probes_;
  Pair backend_log_;            // a pipe: the backends' standard error, the logger's end
  bool acceptor_died_ = false;  // its successor knows nothing of the sessions before it
  base::UniqueFd signals_;
  bool all_ready_ = false, draining_ = false, over_ = false;
  base::Deadline drain_over_ = base::Deadline::Never();
};

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_SUPERVISOR_H_
