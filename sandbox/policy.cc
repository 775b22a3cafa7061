#include "sandbox/policy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"

namespace postern::sandbox {
namespace {

// Whoever can write the file decides what the role may do.
absl::Status CheckTrusted(const std::string& path, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, ": not a regular file"));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return absl::FailedPreconditionError(absl::StrCat(path, ": writable by group or others; chmod go-w"));
  if (status.st_uid != 0 && status.st_uid != geteuid())
    return absl::FailedPreconditionError(absl::StrCat(path, ": owned by uid ", status.st_uid,
                                                      "; it has to be root's or that of the user who starts this"));
  return absl::OkStatus();
}

// At most one octet more than kPolicyOctetsMax: ParsePolicy refuses that.
absl::StatusOr<std::string> ReadAll(int fd, const std::string& path) {
  std::string text(kPolicyOctetsMax + 1, '\0');
  size_t octets = 0;
  while (octets < text.size()) {
    const ssize_t got = read(fd, &text[octets], text.size() - octets);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, path);
    if (got == 0) break;
    octets += static_cast<size_t>(got);
  }
  text.resize(octets);
  return text;
}

absl::StatusOr<Policy> Load(const std::string& path, bool check) {
  // Not blocking, so that a fifo is refused rather than waited for.
  const base::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return absl::ErrnoToStatus(errno, path);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (check) RETURN_IF_ERROR(CheckTrusted(path, status));
  ASSIGN_OR_RETURN(const std::string text, ReadAll(fd.get(), path));
  return ParsePolicy(path, text);
}

std::string DescribeStages(const Policy& policy) {
  std::vector<std::pair<std::string, const Stage*>> stages;
  for (const auto& [name, stage] : policy.stages) stages.emplace_back(name, &stage);
  std::sort(stages.begin(), stages.end(), [](const auto& a, const auto& b) { return a.second->line < b.second->line; });
  std::vector<std::string> parts;
  for (const auto& [name, stage] : stages) {
    const bool allows = stage->default_action == Action::kAllow;  // then every rule refuses
    const auto counted =
        std::count_if(stage->syscalls.begin(), stage->syscalls.end(), [allows](const Syscall& syscall) {
          return syscall.number >= 0 && (allows || syscall.action == Action::kAllow);
        });
    const std::string count = absl::StrCat(allows ? "all but " : "", counted);
    parts.push_back(parts.empty() ? absl::StrCat(count, " system calls") : absl::StrCat(name, " ", count));
  }
  return absl::StrJoin(parts, ", ");
}

}  // namespace

absl::StatusOr<Policy> LoadPolicy(const std::string& path) { return Load(path, true); }

absl::StatusOr<Policy> ReadCheckedPolicy(const std::string& path) { return Load(path, false); }

std::string Describe(const Policy& policy) {
  std::vector<std::string> spaces;
  if (policy.net) spaces.push_back("net");
  if (policy.mount) spaces.push_back("mount");
  if (policy.ipc) spaces.push_back("ipc");
  if (policy.uts) spaces.push_back("uts");
  if (policy.pid) spaces.push_back("pid");
  std::vector<std::string> parts;
  if (!spaces.empty()) parts.push_back(absl::StrCat("own ", absl::StrJoin(spaces, ",")));
  if (policy.root == Root::kEmpty) parts.push_back("empty root");
  if (policy.root == Root::kReadOnly) parts.push_back("read-only root");
  if (!policy.tmpfs.empty()) parts.push_back(absl::StrCat("own ", policy.tmpfs));
  if (policy.landlock != Need::kNo)
    parts.push_back(policy.landlock == Need::kTry ? "landlock if there is" : "landlock");
  parts.push_back(policy.caps.empty() ? "no capabilities"
                                      : absl::StrCat("capabilities ", absl::StrJoin(policy.caps, ",")));
  if (policy.no_new_privs) parts.push_back("no_new_privs");
  if (!policy.stages.empty()) parts.push_back(DescribeStages(policy));
  return absl::StrJoin(parts, "; ");
}

}  // namespace postern::sandbox
