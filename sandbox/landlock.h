#ifndef POSTERN_SANDBOX_LANDLOCK_H_
#define POSTERN_SANDBOX_LANDLOCK_H_

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace postern::sandbox {

// A ruleset that handles everything this kernel's Landlock knows and allows none of it. Made before the limits, since
// nofile may leave no descriptor.
absl::StatusOr<base::UniqueFd> MakeDenyAllRuleset();
// Needs no_new_privs. What is open already stays usable.
absl::Status RestrictSelf(int ruleset);

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_LANDLOCK_H_
