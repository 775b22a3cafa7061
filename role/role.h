#ifndef POSTERN_ROLE_ROLE_H_
#define POSTERN_ROLE_ROLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/deadline.h"
#include "base/process.h"
#include "base/unique_fd.h"
#include "sandbox/cage.h"
#include "sandbox/policy.h"

// The steps that every role's main.cc takes alike, so that each reads: start, read, seal, serve.
namespace postern::role {

// The options of one command line, in order: what belongs to a listener or a service follows it.
using Options = std::vector<std::pair<std::string, std::string>>;

struct Start {
  Options options;         // without those that Begin() itself obeys
  base::InheritedFds fds;  // without control and log
  sandbox::Policy policy;  // for the stages still to be sealed
  base::UniqueFd control;  // to the supervisor; hang-up means: end now
};

// Reads the command line (--fds, --policy, --identity=UID:GID, and `names`, each with a value), adopts the descriptors,
// and enters the cage of the policy: from then on the process is nobody in particular. An unknown option is an error.
absl::StatusOr<Start> Begin(int argc, char** argv, const std::vector<std::string>& names);

// A whole number from the command line, or an error that names the option.
absl::StatusOr<int> Number(const std::pair<std::string, std::string>& option);

// Blocks until poll(2) reports `events` (or an error condition) on `fd`. DeadlineExceeded: the time is over. Cancelled:
// the supervisor has gone or wants this process gone. OutOfRange: `partner`, if there is one, has hung up; for a stream
// of whose other end this process has a copy, so that it would see no end of file.
absl::Status Wait(int fd, short events, int control, const base::Deadline& deadline, int partner = -1);

}  // namespace postern::role

#endif  // POSTERN_ROLE_ROLE_H_
