#ifndef POSTERN_SUPERVISOR_LAYOUT_H_
#define POSTERN_SUPERVISOR_LAYOUT_H_

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "config/config.h"
#include "supervisor/edges.h"

namespace postern::supervisor {

// Where the parts of postern are.
struct Layout {
  std::array<std::string, kRoles> binaries;
  std::array<std::string, kRoles> policies;
  std::string begin;
  std::string probe, probe_policy;
};

// From [roles] directory and policies where they are set. Else from where this program is: a Bazel build keeps the
// parts in its runfiles; an installation in ../libexec/postern and ../share/postern/policies.
absl::StatusOr<Layout> FindLayout(const config::Roles& roles);

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_LAYOUT_H_
