#ifndef POSTERN_ROLE_ZYGOTE_H_
#define POSTERN_ROLE_ZYGOTE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace postern::role {

// A process that serves nobody itself: it forks one worker for each session and knows which worker serves which.
class Zygote {
 public:
  // At most twice `sessions_max` workers at a time: a worker's session, which the acceptor counts, ends a moment before
  // the worker can be waited for. A request beyond that is refused with the event "refused".
  // Call before sealing: it makes a signalfd.
  static absl::StatusOr<Zygote> Make(size_t sessions_max);

  // Calls `on_request` whenever `requests` can be read, until `control` hangs up; then returns ok, in the parent only.
  // `on_request` takes one message and passes it to Fork(). An error from it ends the role.
  absl::Status Serve(int control, int requests, absl::FunctionRef<absl::Status()> on_request);

  // In the parent: returns. In the child: calls `work`, which speaks to one session, and exits with 0 if it is ok,
  // else 1. The caller closes its copies of the session's descriptors by letting them go.
  absl::Status Fork(uint64_t session, absl::FunctionRef<absl::Status()> work);

 private:
  void Reap();

  base::UniqueFd child_signals_;
  size_t workers_max_ = 0;
  std::map<pid_t, uint64_t> sessions_;
};

}  // namespace postern::role

#endif  // POSTERN_ROLE_ZYGOTE_H_
