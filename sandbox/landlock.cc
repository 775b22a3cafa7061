#include "sandbox/landlock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

// As the kernel has it since ABI 6. Debian 12's header ends after the first member, and an older kernel takes the
// shorter structure.
struct RulesetAttributes {
  uint64_t filesystem;
  uint64_t network;
  uint64_t scoped;
};
static_assert(sizeof(RulesetAttributes) == 24);

constexpr uint64_t kFilesystemAbi1 = 0x1fff;        // execute ... make_sym
constexpr uint64_t kRefer = 1 << 13;                // ABI 2
constexpr uint64_t kTruncate = 1 << 14;             // ABI 3
constexpr uint64_t kTcpBindConnect = 3;             // ABI 4
constexpr uint64_t kIoctlDevice = 1 << 15;          // ABI 5
constexpr uint64_t kAbstractSocketsSignals = 3;     // ABI 6
constexpr unsigned kCreateRulesetVersion = 1 << 0;  // asks for the ABI instead

}  // namespace

absl::StatusOr<base::UniqueFd> MakeDenyAllRuleset() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, size_t{0}, kCreateRulesetVersion);
  if (abi < 1) return Refused(abi < 0 ? errno : ENOSYS, "landlock_create_ruleset(version)");
  RulesetAttributes attributes = {kFilesystemAbi1, 0, 0};
  size_t octets = offsetof(RulesetAttributes, network);
  if (abi >= 2) attributes.filesystem |= kRefer;
  if (abi >= 3) attributes.filesystem |= kTruncate;
  if (abi >= 4) {
    attributes.network = kTcpBindConnect;
    octets = offsetof(RulesetAttributes, scoped);
  }
  if (abi >= 5) attributes.filesystem |= kIoctlDevice;
  if (abi >= 6) {
    attributes.scoped = kAbstractSocketsSignals;
    octets = sizeof(attributes);
  }
  base::UniqueFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, octets, 0U)));
  if (!ruleset.valid()) return Refused(errno, "landlock_create_ruleset");
  return ruleset;
}

absl::Status RestrictSelf(int ruleset) {
  if (syscall(SYS_landlock_restrict_self, ruleset, 0U) != 0) return Refused(errno, "landlock_restrict_self");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
