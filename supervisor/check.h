#ifndef POSTERN_SUPERVISOR_CHECK_H_
#define POSTERN_SUPERVISOR_CHECK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "supervisor/plan.h"

namespace postern::supervisor {

// Reads the file and finds everything that can be wrong before anything is served: the configuration, the files it
// names, the policies, the certificates and keys. The latter are parsed by a tlsworker in its cage, never by us.
// FailedPrecondition carries all errors, one line each.
absl::StatusOr<Plan> Check(const std::string& path);

}  // namespace postern::supervisor

#endif  // POSTERN_SUPERVISOR_CHECK_H_
