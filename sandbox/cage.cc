#include "sandbox/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "sandbox/landlock.h"
#include "sandbox/limits.h"
#include "sandbox/namespaces.h"
#include "sandbox/privileges.h"
#include "sandbox/proc_status.h"
#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

constexpr char kEnterStage[] = "enter";

void LogMissing(absl::string_view layer, absl::string_view why) {
  base::Event("cage_without").Add("layer", layer).AddText("why", why);
}

// Where uid 0 is only a name for an ordinary user (rootless containers, build sandboxes).
absl::StatusOr<bool> RootIsMachinesRoot() {
  const base::UniqueFd fd(open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC));
  char text[256];
  const ssize_t got = fd.valid() ? read(fd.get(), text, sizeof(text) - 1) : -1;
  if (got < 0) return Refused(errno, "/proc/self/uid_map");
  text[got] = '\0';
  unsigned long inside = 1;
  unsigned long outside = 1;
  return sscanf(text, "%lu %lu", &inside, &outside) != 2 || outside == 0;
}

class Entering {
 public:
  Entering(const Policy& policy, const Identity& identity, ProcStatus status)
      : policy_(policy),
        identity_(identity),
        privileged_(geteuid() == 0),
        no_new_privs_(policy.no_new_privs || !privileged_),
        parent_(getppid()),
        kernel_(std::move(status)) {}

  absl::Status Run();
  // What Run() has not applied already.
  std::optional<Seal> TakeSeal() { return no_new_privs_ ? std::move(seal_) : std::nullopt; }

 private:
  absl::Status CheckCaller() const;
  absl::Status PrepareWhatNeedsDescriptors();
  absl::Status ArrangeFiles() const;
  absl::Status GiveUpPrivileges();
  absl::Status SetProcessAttributes();
  absl::Status Verify();
  absl::Status VerifyStatus() const;

  const Policy& policy_;
  const Identity identity_;
  const bool privileged_;
  const bool no_new_privs_;  // an ordinary user has nothing to gain by exec, and could load no filter without it
  const pid_t parent_;
  ProcStatus kernel_;
  uint64_t keep_ = 0;             // capabilities
  bool bounding_shrunk_ = false;  // else it cannot be, and no_new_privs has to do
  std::optional<Seal> seal_;      // the stage "enter"
  base::UniqueFd ruleset_;
};

absl::Status Entering::CheckCaller() const {
  if (!kernel_.Is("Threads", {1})) return absl::FailedPreconditionError("the process has more than one thread");
  if (policy_.pid && getpid() != 1) return absl::FailedPreconditionError("pid = new, but this is not pid 1");
  const bool own = identity_.uid == geteuid() && identity_.gid == getegid() && identity_.uid == getuid();
  if (!privileged_ && !own)
    return absl::FailedPreconditionError(
        absl::StrCat("only root can become uid ", identity_.uid, " gid ", identity_.gid));
  if (identity_.uid != 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool machines_root, RootIsMachinesRoot());
  if (machines_root) return absl::FailedPreconditionError("a role cannot be root");
  return absl::OkStatus();
}

absl::Status Entering::PrepareWhatNeedsDescriptors() {
  if (privileged_) {
    ASSIGN_OR_RETURN(keep_, CapabilityMask(policy_.caps));
  }
  if (policy_.stages.count(kEnterStage) != 0) {
    ASSIGN_OR_RETURN(seal_, Seal::Prepare(policy_, kEnterStage));
  }
  if (policy_.landlock == Need::kNo) return absl::OkStatus();
  absl::StatusOr<base::UniqueFd> ruleset = MakeDenyAllRuleset();
  if (ruleset.ok()) {
    ruleset_ = *std::move(ruleset);
  } else if (policy_.landlock == Need::kRequire) {
    return ruleset.status();
  } else {
    LogMissing("landlock", ruleset.status().message());
  }
  return absl::OkStatus();
}

absl::Status Entering::ArrangeFiles() const {
  if (policy_.root == Root::kEmpty) return EmptyRoot();
  // An ordinary user may not mount /proc anew; there the user namespace keeps it out of other processes' entries.
  if (policy_.root == Root::kReadOnly) RETURN_IF_ERROR(ReadOnlyRoot(policy_.pid && privileged_));
  return policy_.tmpfs.empty() ? absl::OkStatus() : MountTmpfs(policy_.tmpfs, identity_);
}

absl::Status Entering::GiveUpPrivileges() {
  bounding_shrunk_ = MayShrinkBoundingSet();
  if (bounding_shrunk_) {
    RETURN_IF_ERROR(ShrinkBoundingSet(keep_));
  } else if (privileged_) {
    return absl::UnavailableError("root without CAP_SETPCAP cannot shrink the bounding set");
  }
  if (privileged_) RETURN_IF_ERROR(BecomeUser(identity_.uid, identity_.gid));
  // Backends are started as uid 0 by whoever keeps capabilities, and have to get them.
  if (bounding_shrunk_ && keep_ == 0) RETURN_IF_ERROR(LockSecurebits());
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, which goes with the next step.
  if (seal_.has_value() && !no_new_privs_) RETURN_IF_ERROR(seal_->Apply());
  return KeepCapabilities(keep_);
}

absl::Status Entering::SetProcessAttributes() {
  if (policy_.parent_death_kill) {
    if (prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGKILL), 0UL, 0UL, 0UL) != 0)
      return Refused(errno, "prctl(PR_SET_PDEATHSIG)");
    // It may have died before, and then no signal comes.
    if (getppid() != parent_) return absl::UnavailableError("the parent process has ended");
  }
  const unsigned long dumpable = policy_.dumpable ? 1 : 0;
  if (prctl(PR_SET_DUMPABLE, dumpable, 0UL, 0UL, 0UL) != 0) return Refused(errno, "prctl(PR_SET_DUMPABLE)");
  bool missing;
  RETURN_IF_ERROR(DenyMemoryExec(policy_.memory_deny_exec, &missing));
  if (missing) LogMissing("memory-deny-exec", "prctl(PR_SET_MDWE) was refused");
  if (no_new_privs_ && prctl(PR_SET_NO_NEW_PRIVS, 1UL, 0UL, 0UL, 0UL) != 0)
    return Refused(errno, "prctl(PR_SET_NO_NEW_PRIVS)");
  if (!ruleset_.valid()) return absl::OkStatus();
  const absl::Status restricted = RestrictSelf(ruleset_.get());
  ruleset_.Reset();
  if (!restricted.ok() && policy_.landlock == Need::kRequire) return restricted;
  if (!restricted.ok()) LogMissing("landlock", restricted.message());
  return absl::OkStatus();
}

absl::Status Entering::VerifyStatus() const {
  const uint64_t uid = identity_.uid;
  const uint64_t gid = identity_.gid;
  std::vector<absl::string_view> wrong;
  const auto expect = [&](absl::string_view field, const std::vector<uint64_t>& numbers, int base) {
    if (!kernel_.Is(field, numbers, base)) wrong.push_back(field);
  };
  expect("Uid", {uid, uid, uid, uid}, 10);
  expect("Gid", {gid, gid, gid, gid}, 10);
  // Where setgroups is denied (BecomeUser) the groups stay with the uid.
  if (privileged_ && uid != 0) expect("Groups", {}, 10);
  expect("CapInh", {0}, 16);
  expect("CapPrm", {keep_}, 16);
  expect("CapEff", {keep_}, 16);
  expect("CapAmb", {0}, 16);
  if (bounding_shrunk_) expect("CapBnd", {keep_}, 16);
  if (no_new_privs_) expect("NoNewPrivs", {1}, 10);
  if (wrong.empty()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("/proc/self/status is not as the policy says: ", absl::StrJoin(wrong, ", ")));
}

absl::Status Entering::Verify() {
  RETURN_IF_ERROR(kernel_.Refresh());
  RETURN_IF_ERROR(VerifyStatus());
  if (prctl(PR_GET_DUMPABLE) != (policy_.dumpable ? 1 : 0)) return absl::UnavailableError("dumpable is not as set");
  // Whoever keeps CAP_SETUID may become root: that is what it is kept for.
  ASSIGN_OR_RETURN(const uint64_t setuid_mask, CapabilityMask({"setuid"}));
  if (identity_.uid != 0 && (keep_ & setuid_mask) == 0 && setresuid(0, 0, 0) == 0)
    return absl::UnavailableError("setresuid(0) works after all privileges were given up");
  return absl::OkStatus();
}

absl::Status Entering::Run() {
  RETURN_IF_ERROR(CheckCaller());
  RETURN_IF_ERROR(PrepareWhatNeedsDescriptors());
  RETURN_IF_ERROR(UnshareNamespaces(policy_, privileged_));
  RETURN_IF_ERROR(ArrangeFiles());
  RETURN_IF_ERROR(SetLimits(policy_.limits));
  RETURN_IF_ERROR(GiveUpPrivileges());
  RETURN_IF_ERROR(SetProcessAttributes());
  return Verify();
}

}  // namespace

absl::Status Enter(const Policy& policy, const Identity& identity) {
  std::optional<Seal> seal;
  {
    ASSIGN_OR_RETURN(ProcStatus status, ProcStatus::Open());
    Entering entering(policy, identity, std::move(status));
    RETURN_IF_ERROR(entering.Run());
    seal = entering.TakeSeal();
  }
  // After all descriptors of the above are closed, so that its allow-list need not name what Enter does.
  return seal.has_value() ? seal->Apply() : absl::OkStatus();
}

}  // namespace postern::sandbox
