#include "supervisor/layout.h"

#include <limits.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace postern::supervisor {
namespace {

absl::string_view DirectoryOf(absl::string_view path) { return path.substr(0, path.rfind('/')); }
absl::string_view BaseName(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

absl::StatusOr<Layout> FindLayout(const config::Roles& roles) {
  char path[PATH_MAX];
  const ssize_t octets = readlink("/proc/self/exe", path, sizeof path);
  if (octets < 0 || octets == sizeof path) return absl::ErrnoToStatus(errno, "/proc/self/exe");
  const absl::string_view self(path, static_cast<size_t>(octets));
  const std::string runfiles = absl::StrCat(self, ".runfiles/postern");
  const bool built = roles.directory.empty() && access(runfiles.c_str(), X_OK) == 0;
  const absl::string_view prefix = DirectoryOf(DirectoryOf(self));

  std::string directory = roles.directory, policies = roles.policies;
  if (directory.empty()) directory = built ? runfiles : absl::StrCat(prefix, "/libexec/postern");
  if (policies.empty())
    policies = built ? absl::StrCat(runfiles, "/policies") : absl::StrCat(prefix, "/share/postern/policies");

  Layout layout;
  const auto binary = [&](absl::string_view name) {
    return absl::StrCat(directory, "/", built ? name : BaseName(name));
  };
  for (size_t role = 0; role < kRoles; ++role) {
    layout.binaries[role] = binary(kRoleNames[role].binary);
    layout.policies[role] = absl::StrCat(policies, "/", kRoleNames[role].name, ".policy");
  }
  layout.begin = binary("backendlauncher/begin");
  layout.probe = binary("backendlauncher/probe");
  layout.probe_policy = absl::StrCat(policies, "/probe.policy");
  return layout;
}

}  // namespace postern::supervisor
