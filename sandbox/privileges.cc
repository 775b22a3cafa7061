#include "sandbox/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/securebits.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

struct FreeCapabilities {
  void operator()(cap_t state) const { cap_free(state); }
};
using Capabilities = std::unique_ptr<_cap_struct, FreeCapabilities>;

bool Has(uint64_t mask, cap_value_t cap) { return (mask >> cap & 1) != 0; }

}  // namespace

absl::StatusOr<uint64_t> CapabilityMask(const std::vector<std::string>& names) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    cap_value_t cap;
    if (cap_from_name(absl::StrCat("cap_", name).c_str(), &cap) != 0)
      return absl::FailedPreconditionError(absl::StrCat("unknown capability ", name));
    mask |= uint64_t{1} << cap;
  }
  return mask;
}

bool MayShrinkBoundingSet() {
  const Capabilities state(cap_get_proc());
  cap_flag_value_t set = CAP_CLEAR;
  return state != nullptr && cap_get_flag(state.get(), CAP_SETPCAP, CAP_EFFECTIVE, &set) == 0 && set == CAP_SET;
}

absl::Status ShrinkBoundingSet(uint64_t keep) {
  for (cap_value_t cap = 0; cap < cap_max_bits(); ++cap) {
    if (Has(keep, cap) || cap_get_bound(cap) == 0) continue;
    if (cap_drop_bound(cap) != 0) return Refused(errno, absl::StrCat("prctl(PR_CAPBSET_DROP, ", cap, ")"));
  }
  return absl::OkStatus();
}

absl::Status BecomeUser(uid_t uid, gid_t gid) {
  if (prctl(PR_SET_KEEPCAPS, 1UL, 0UL, 0UL, 0UL) != 0) return Refused(errno, "prctl(PR_SET_KEEPCAPS)");
  // In a user namespace where setgroups is denied there is nobody else to become either.
  if (setgroups(0, nullptr) != 0 && !(errno == EPERM && uid == getuid())) return Refused(errno, "setgroups(none)");
  if (setresgid(gid, gid, gid) != 0) return Refused(errno, absl::StrCat("setresgid(", gid, ")"));
  if (setresuid(uid, uid, uid) != 0) return Refused(errno, absl::StrCat("setresuid(", uid, ")"));
  return RaisePermitted();
}

absl::Status LockSecurebits() {
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
  if (prctl(PR_SET_SECUREBITS, kBits, 0UL, 0UL, 0UL) != 0) return Refused(errno, "prctl(PR_SET_SECUREBITS)");
  if (prctl(PR_GET_SECUREBITS, 0UL, 0UL, 0UL, 0UL) != static_cast<int>(kBits))
    return absl::UnavailableError("securebits are not what was set");
  return absl::OkStatus();
}

absl::Status KeepCapabilities(uint64_t keep) {
  const Capabilities state(cap_init());
  if (state == nullptr) return Refused(errno, "cap_init");
  for (cap_value_t cap = 0; cap < cap_max_bits(); ++cap) {
    if (!Has(keep, cap)) continue;
    if (cap_set_flag(state.get(), CAP_PERMITTED, 1, &cap, CAP_SET) != 0 ||
        cap_set_flag(state.get(), CAP_EFFECTIVE, 1, &cap, CAP_SET) != 0)
      return Refused(errno, "cap_set_flag");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0UL, 0UL, 0UL) != 0)
    return Refused(errno, "prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  if (cap_set_proc(state.get()) != 0) return Refused(errno, "capset");
  // EPERM: locked already, and then off.
  if (prctl(PR_SET_KEEPCAPS, 0UL, 0UL, 0UL, 0UL) != 0 && errno != EPERM)
    return Refused(errno, "prctl(PR_SET_KEEPCAPS, 0)");
  return absl::OkStatus();
}

absl::Status RaisePermitted() {
  const Capabilities state(cap_get_proc());
  if (state == nullptr) return Refused(errno, "capget");
  for (cap_value_t cap = 0; cap < cap_max_bits(); ++cap) {
    cap_flag_value_t permitted = CAP_CLEAR;
    if (cap_get_flag(state.get(), cap, CAP_PERMITTED, &permitted) != 0) continue;
    if (cap_set_flag(state.get(), CAP_EFFECTIVE, 1, &cap, permitted) != 0) return Refused(errno, "cap_set_flag");
  }
  if (cap_set_proc(state.get()) != 0) return Refused(errno, "capset(effective)");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
