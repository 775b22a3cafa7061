#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "sandbox/apply.h"

namespace postern::sandbox {
namespace {

absl::Status Refused(absl::string_view what) { return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno))); }

absl::Status WriteFile(const char* path, absl::string_view text) {
  const base::UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return Refused(path);
  return absl::OkStatus();
}

// Newer than Debian 12's <linux/landlock.h>. The kernel takes a shorter structure from an older ABI.
struct LandlockRules {
  uint64_t files, network, scopes;
};

// landlock(7): the rights that each ABI added.
LandlockRules AllRights(long abi) {
  LandlockRules rules = {};
  rules.files = (uint64_t{1} << 13) - 1;
  if (abi >= 2) rules.files |= uint64_t{1} << 13;  // moving between directories
  if (abi >= 3) rules.files |= uint64_t{1} << 14;  // truncate
  if (abi >= 5) rules.files |= uint64_t{1} << 15;  // ioctl on devices
  if (abi >= 4) rules.network = 3;                 // TCP bind and connect
  if (abi >= 6) rules.scopes = 3;                  // abstract sockets and signals of others
  return rules;
}

size_t OctetsOf(long abi) { return (abi >= 6 ? 3 : abi >= 4 ? 2 : 1) * sizeof(uint64_t); }

}  // namespace

absl::Status NewNamespaces(const Policy& policy, bool user_namespace) {
  const struct {
    bool wanted;
    int flag;
    const char* name;
  } kSpaces[] = {{user_namespace, CLONE_NEWUSER, "user"}, {policy.net, CLONE_NEWNET, "net"},
                 {policy.mount, CLONE_NEWNS, "mount"},    {policy.ipc, CLONE_NEWIPC, "ipc"},
                 {policy.uts, CLONE_NEWUTS, "uts"}};
  int flags = 0;
  std::vector<absl::string_view> names;
  for (const auto& space : kSpaces) {
    if (!space.wanted) continue;
    flags |= space.flag;
    names.push_back(space.name);
  }
  if (flags == 0) return absl::OkStatus();
  const uid_t uid = getuid();
  const gid_t gid = getgid();
  if (unshare(flags) != 0)
    return Refused(absl::StrCat(
        "unshare(", absl::StrJoin(names, ","), ")",
        user_namespace ? " (look at sysctl kernel.unprivileged_userns_clone and user.max_user_namespaces)" : ""));
  if (!user_namespace) return absl::OkStatus();
  RETURN_IF_ERROR(WriteFile("/proc/self/setgroups", "deny"));
  RETURN_IF_ERROR(WriteFile("/proc/self/uid_map", absl::StrCat(uid, " ", uid, " 1")));
  return WriteFile("/proc/self/gid_map", absl::StrCat(gid, " ", gid, " 1"));
}

absl::Status EmptyRoot() {
  // Nothing that happens here may show outside, and nothing mounted outside later may show here.
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return Refused("mount(/, private)");
  constexpr char kMountPoint[] = "/tmp";  // any directory will do: it is covered and then gone
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (mount("empty", kMountPoint, "tmpfs", kFlags, "size=4k,nr_inodes=2,mode=0555") != 0) return Refused("mount(tmpfs)");
  if (chdir(kMountPoint) != 0) return Refused("chdir");
  // pivot_root(2), "pivot_root(".", ".")": the old root lands on top of the new one and is taken off again.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Refused("pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return Refused("umount2");
  if (chdir("/") != 0) return Refused("chdir(/)");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr) != 0) return Refused("mount(/, read-only)");

  struct statvfs file_system;
  if (statvfs("/", &file_system) != 0 || (file_system.f_flag & ST_RDONLY) == 0)
    return absl::InternalError("the empty root is not read-only");
  const std::unique_ptr<DIR, int (*)(DIR*)> root(opendir("/"), closedir);
  if (root == nullptr) return Refused("opendir(/)");
  while (const dirent* entry = readdir(root.get()))
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      return absl::InternalError("the empty root is not empty");
  return absl::OkStatus();
}

absl::Status DenyWithLandlock(Need need) {
  if (need == Need::kNo) return absl::OkStatus();
  constexpr unsigned kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion);
  if (abi < 1) return need == Need::kTry ? absl::OkStatus() : Refused("landlock");
  const LandlockRules rules = AllRights(abi);
  const base::UniqueFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &rules, OctetsOf(abi), 0)));
  if (!ruleset.valid()) return Refused("landlock_create_ruleset");
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return Refused("landlock_restrict_self");
  return absl::OkStatus();
}

}  // namespace postern::sandbox
