#ifndef POSTERN_SANDBOX_PROC_STATUS_H_
#define POSTERN_SANDBOX_PROC_STATUS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::sandbox {

// The kernel's word on this process, to be asked again after /proc has gone.
class ProcStatus {
 public:
  static absl::StatusOr<ProcStatus> Open();

  // Reads anew.
  absl::Status Refresh();
  // The words behind "FIELD:"; none if there is no such field.
  std::vector<std::string> Field(absl::string_view field) const;
  // Whether the field has exactly these numbers, written in `base`.
  bool Is(absl::string_view field, const std::vector<uint64_t>& numbers, int base = 10) const;

 private:
  base::UniqueFd fd_;
  std::string text_;
};

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_PROC_STATUS_H_
