#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "sandbox/cage.h"
#include "sandbox/filter.h"
#include "sandbox/limits.h"
#include "sandbox/refused.h"

namespace postern::sandbox {

absl::StatusOr<Seal> Seal::Prepare(const Policy& policy, absl::string_view stage) {
  const auto found = policy.stages.find(std::string(stage));
  if (found == policy.stages.end())
    return absl::NotFoundError(absl::StrCat(policy.name, ": there is no [syscalls ", stage, "]"));
  Seal seal;
  seal.limits_ = found->second.limits;
  seal.memory_deny_exec_ = found->second.memory_deny_exec;
  ASSIGN_OR_RETURN(seal.program_, CompileFilter(found->second));
  return seal;
}

absl::Status Seal::Apply() const {
  // Not for an empty program that the kernel would refuse anyway: a Seal is only made by Prepare, but may be moved
  // from.
  if (program_.empty()) return absl::FailedPreconditionError("an empty seal");
  RETURN_IF_ERROR(SetLimits(limits_));
  // A layer that was only to be tried is not logged here: there may be neither log nor memory.
  bool missing;
  RETURN_IF_ERROR(DenyMemoryExec(memory_deny_exec_, &missing));
  // The kernel copies; the pointer to what is not const is the interface's.
  const sock_fprog program = {static_cast<unsigned short>(program_.size()), const_cast<sock_filter*>(program_.data())};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &program) != 0)
    return Refused(errno, "seccomp", errno == EACCES ? "(neither no_new_privs nor CAP_SYS_ADMIN)" : "");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
