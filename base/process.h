#ifndef POSTERN_BASE_PROCESS_H_
#define POSTERN_BASE_PROCESS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace postern::base {

inline constexpr int kExitConfiguration = 100;  // ours to mend: usage, configuration, policy
inline constexpr int kExitTemporary = 111;      // the system refused; trying again may help

// For main(): logs an error as the event "fatal" and gives the exit code: 0 if `status` is ok, 100 for InvalidArgument,
// NotFound, PermissionDenied and FailedPrecondition (our configuration), else 111.
int Finish(const absl::Status& status);

// The descriptors from 3 upward that a parent handed over, in the order of `names` (a role's option --fds). Takes
// ownership and sets close-on-exec. Any other open descriptor above 2 is an error, as is a name without a descriptor.
// The table is for one use: Take() what is needed, then Finished().
class InheritedFds {
 public:
  static absl::StatusOr<InheritedFds> Adopt(const std::vector<std::string>& names);

  // The first descriptor of that name not yet taken; invalid if there is none.
  UniqueFd Take(absl::string_view name);
  // All of that name, in order.
  std::vector<UniqueFd> TakeAll(absl::string_view name);
  // What Take() was not asked for is an error: somebody hands over more than the role knows of.
  absl::Status Finished() const;

 private:
  struct Entry {
    std::string name;
    UniqueFd fd;
  };
  std::vector<Entry> entries_;
};

// Remembers where the kernel keeps the arguments, for SetTitle. Call first in main().
void KeepTitleSpace(int argc, char** argv);
// What ps shows for this process from now on, as long as the arguments were at start (the rest is cut).
void SetTitle(absl::string_view title);

}  // namespace postern::base

#endif  // POSTERN_BASE_PROCESS_H_
