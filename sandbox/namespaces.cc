#include "sandbox/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "sandbox/refused.h"

namespace postern::sandbox {
namespace {

// Any directory would do to mount on; this one is there, as /proc/self/status has been opened.
constexpr char kMountPoint[] = "/proc";
constexpr unsigned long kRootFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

absl::Status WriteFile(const char* path, const std::string& text) {
  const base::UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return Refused(errno, path);
  if (write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) return Refused(errno, path);
  return absl::OkStatus();
}

absl::string_view UnshareHint(int error, bool privileged) {
  if (error == ENOSPC) return "(too many namespaces: sysctl user.max_*_namespaces)";
  if (error != EPERM) return "";
  if (privileged) return "(root without CAP_SYS_ADMIN, as in many containers?)";
  return "(are user namespaces forbidden? sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, or an "
         "LSM)";
}

absl::Status CheckRoot() {
  struct statfs kind;
  struct statvfs flags;
  if (statfs("/", &kind) != 0 || statvfs("/", &flags) != 0) return Refused(errno, "statfs of the new root");
  if (kind.f_type != TMPFS_MAGIC) return absl::UnavailableError("the new root is not the tmpfs mounted for it");
  if ((flags.f_flag & ST_RDONLY) == 0) return absl::UnavailableError("the new root is not read-only");
  if (mkdir("/probe", 0700) == 0 || errno != EROFS) return absl::UnavailableError("the new root can be written to");
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/"), closedir);
  if (directory == nullptr) return Refused(errno, "opendir of the new root");
  errno = 0;
  while (const dirent* entry = readdir(directory.get())) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      return absl::UnavailableError("the new root is not empty");
  }
  if (errno != 0) return Refused(errno, "readdir of the new root");
  return absl::OkStatus();
}

// Only of "/", but the change was for all mounts or none.
absl::Status CheckReadOnly() {
  struct statvfs flags;
  if (statvfs("/", &flags) != 0) return Refused(errno, "statvfs(/)");
  if ((flags.f_flag & ST_RDONLY) == 0) return absl::UnavailableError("the root is not read-only");
  return absl::OkStatus();
}

}  // namespace

absl::Status UnshareNamespaces(const Policy& policy, bool privileged) {
  int flags = 0;
  std::vector<absl::string_view> names;
  const auto add = [&](bool wanted, int flag, absl::string_view name) {
    if (!wanted) return;
    flags |= flag;
    names.push_back(name);
  };
  add(policy.net, CLONE_NEWNET, "net");
  add(policy.mount, CLONE_NEWNS, "mount");
  add(policy.ipc, CLONE_NEWIPC, "ipc");
  add(policy.uts, CLONE_NEWUTS, "uts");
  if (flags == 0) return absl::OkStatus();
  add(!privileged, CLONE_NEWUSER, "user");
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(flags) != 0)
    return Refused(errno, absl::StrCat("unshare(", absl::StrJoin(names, ","), ")"), UnshareHint(errno, privileged));
  if (!privileged) {
    // The kernel takes a gid map from an ordinary user only after he can no longer drop groups that deny him something.
    RETURN_IF_ERROR(WriteFile("/proc/self/setgroups", "deny"));
    RETURN_IF_ERROR(WriteFile("/proc/self/uid_map", absl::StrCat(uid, " ", uid, " 1")));
    RETURN_IF_ERROR(WriteFile("/proc/self/gid_map", absl::StrCat(gid, " ", gid, " 1")));
  }
  // Else what is mounted here would appear outside.
  if (policy.mount && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Refused(errno, "mount(/, private)");
  return absl::OkStatus();
}

absl::Status EmptyRoot() {
  // Of inodes the root takes one; size 0 would mean without limit.
  if (mount("tmpfs", kMountPoint, "tmpfs", kRootFlags, "size=4096,nr_inodes=2,mode=0555") != 0)
    return Refused(errno, "mount(tmpfs)");
  if (chdir(kMountPoint) != 0) return Refused(errno, "chdir to the new root");
  // pivot_root(2): with both the same, the old root ends up on top of the new one, and is what "." unmounts.
  if (syscall(SYS_pivot_root, ".", ".") != 0) return Refused(errno, "pivot_root");
  if (umount2(".", MNT_DETACH) != 0) return Refused(errno, "umount2 of the old root");
  if (chdir("/") != 0) return Refused(errno, "chdir(/)");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | kRootFlags, nullptr) != 0)
    return Refused(errno, "mount(/, read-only)");
  return CheckRoot();
}

absl::Status ReadOnlyRoot(bool own_proc) {
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attributes, sizeof attributes) != 0)
    return Refused(errno, "mount_setattr(/, read-only)", errno == ENOSYS ? "(Linux 5.12)" : "");
  RETURN_IF_ERROR(CheckReadOnly());
  if (own_proc && mount("proc", "/proc", "proc", kRootFlags | MS_RDONLY, nullptr) != 0)
    return Refused(errno, "mount(/proc)");
  return absl::OkStatus();
}

absl::Status MountTmpfs(const std::string& directory, const Identity& identity) {
  const std::string options = absl::StrCat("size=4M,nr_inodes=512,mode=0700,uid=", identity.uid, ",gid=", identity.gid);
  if (mount("tmpfs", directory.c_str(), "tmpfs", kRootFlags, options.c_str()) != 0)
    return Refused(errno, absl::StrCat("mount(", directory, ")"));
  struct statfs kind;
  if (statfs(directory.c_str(), &kind) != 0) return Refused(errno, directory);
  if (kind.f_type != TMPFS_MAGIC)
    return absl::UnavailableError(absl::StrCat(directory, " is not the tmpfs mounted there"));
  return absl::OkStatus();
}

}  // namespace postern::sandbox
