#include "checkpassword/identity.h"

#include <grp.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace postern::checkpassword {
namespace {

absl::Status SystemError(absl::string_view call) {
  return absl::UnavailableError(absl::StrCat(call, ": ", strerror(errno)));
}

}  // namespace

absl::Status CheckNotSetId() {
  if (getauxval(AT_SECURE) == 0 && getuid() == geteuid() && getgid() == getegid()) return absl::OkStatus();
  return absl::UnavailableError("does not run set-user-id, set-group-id or with file capabilities");
}

absl::Status Become(uid_t uid, gid_t gid) {
  if (geteuid() != 0) {
    if (uid == getuid() && gid == getgid()) return absl::OkStatus();
    return absl::UnavailableError(
        absl::StrCat("uid ", uid, " and gid ", gid, " are not those of this process, and only root can change them"));
  }
  // The parser has refused uid 0. Files that only group root may read are no virtual user's either.
  if (uid == 0 || gid == 0) return absl::UnavailableError("neither uid 0 nor gid 0 is given to anybody");
  if (setgroups(1, &gid) != 0) return SystemError("setgroups");
  if (setresgid(gid, gid, gid) != 0) return SystemError("setresgid");
  if (setresuid(uid, uid, uid) != 0) return SystemError("setresuid");
  // A caller's securebits can let capabilities live on.
  if (setresuid(0, 0, 0) == 0 || setresgid(0, 0, 0) == 0)
    return absl::UnavailableError("could become root again after setresuid");
  return absl::OkStatus();
}

}  // namespace postern::checkpassword
