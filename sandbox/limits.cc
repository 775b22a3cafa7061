#include "sandbox/limits.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>

#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

// Linux 6.3; newer than Debian 12's headers.
constexpr int kSetMdwe = 65;
constexpr unsigned long kRefuseExecGain = 1;

}  // namespace

absl::Status SetLimits(const std::vector<Limit>& limits) {
  for (const Limit& limit : limits) {
    rlimit64 now;
    const auto resource = static_cast<__rlimit_resource>(limit.resource);
    if (prlimit64(0, resource, nullptr, &now) != 0)
      return Refused(errno, absl::StrCat("prlimit64 of ", limit.resource));
    const rlim64_t value = std::min<rlim64_t>(limit.value, now.rlim_max);
    const rlimit64 wanted = {value, value};
    if (prlimit64(0, resource, &wanted, nullptr) != 0)
      return Refused(errno, absl::StrCat("prlimit64 of ", limit.resource, " to ", value));
  }
  return absl::OkStatus();
}

absl::Status DenyMemoryExec(Need need, bool* missing) {
  *missing = false;
  if (need == Need::kNo || prctl(kSetMdwe, kRefuseExecGain, 0, 0, 0) == 0) return absl::OkStatus();
  if (need == Need::kRequire) return Refused(errno, "prctl(PR_SET_MDWE)", "(Linux 6.3)");
  *missing = true;
  return absl::OkStatus();
}

}  // namespace postern::sandbox
