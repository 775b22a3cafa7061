#ifndef POSTERN_SUPERVISOR_PLAN_H_
#define POSTERN_SUPERVISOR_PLAN_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "config/config.h"
#include "sandbox/cage.h"
#include "sandbox/policy.h"
#include "supervisor/edges.h"
#include "supervisor/layout.h"

namespace postern::supervisor {

// All that is known before anything is started: what each role is, and the options it will be given.
struct RolePlan {
  std::string binary, policy_path;
  sandbox::Policy policy;
  sandbox::Identity identity;
  std::vector<std::string> options;  // besides --fds, --policy and --identity
};

// A backend that is asked what it can do, for want of `capabilities`.
struct Asked {
  size_t service;  // index
  RolePlan probe;  // what starts it; unused with `connect`
};

struct Plan {
  config::Config config;
  Layout layout;
  std::array<RolePlan, kRoles> roles;
  std::vector<Asked> asked;
};

// Whether roles can have users of their own, or all share the caller's in user namespaces.
bool StartedAsRoot();

// An error at a place of the file: "FILE:LINE:COLUMN: problem".
std::string At(const config::Config& config, const config::Place& place, absl::string_view problem);

// FailedPrecondition with all that is wrong, one line each: a missing binary, a policy that does not parse, a user that
// does not exist.
absl::StatusOr<Plan> MakePlan(config::Config config);

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_PLAN_H_
