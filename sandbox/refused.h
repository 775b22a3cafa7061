#ifndef POSTERN_SANDBOX_REFUSED_H_
#define POSTERN_SANDBOX_REFUSED_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace postern::sandbox {

// What the system refused: "STEP: Operation not permitted HINT". Unavailable whatever the errno, for exit code 111:
// EPERM from the kernel is not an error of the configuration.
inline absl::Status Refused(int error, absl::string_view step, absl::string_view hint = "") {
  const absl::Status status = absl::ErrnoToStatus(error, step);
  return absl::UnavailableError(absl::StrCat(status.message(), hint.empty() ? "" : " ", hint));
}

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_REFUSED_H_
