#include "sandbox/cage.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "sandbox/apply.h"

namespace postern::sandbox {
namespace {

absl::Status Refused(absl::string_view what) { return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno))); }

int SocketOption(int fd, int option) {
  int value = -1;
  socklen_t octets = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &octets) == 0 ? value : -1;
}

// As [descriptors] kind names it; "" for what no kind describes.
std::string KindOf(int fd) {
  struct stat status;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fstat(fd, &status) != 0 || S_ISDIR(status.st_mode) || (flags & O_PATH) != 0) return "";
  if (S_ISREG(status.st_mode)) return "file";
  if (S_ISFIFO(status.st_mode)) return (flags & O_ACCMODE) == O_RDONLY ? "pipe-read" : "pipe-write";
  if (!S_ISSOCK(status.st_mode)) return "other";
  const int domain = SocketOption(fd, SO_DOMAIN), type = SocketOption(fd, SO_TYPE);
  if (domain == AF_UNIX) return type == SOCK_SEQPACKET ? "unix-seqpacket" : type == SOCK_STREAM ? "unix-stream" : "other";
  if ((domain == AF_INET || domain == AF_INET6) && type == SOCK_STREAM)
    return SocketOption(fd, SO_ACCEPTCONN) == 1 ? "inet-listener" : "inet-stream";
  return "other";
}

// /proc/self/status as it is now. `file` was opened while there was a /proc.
absl::StatusOr<std::map<std::string, std::string>> ReadStatus(int file) {
  char text[8192];
  const ssize_t octets = pread(file, text, sizeof text, 0);
  if (octets <= 0) return Refused("/proc/self/status");
  std::map<std::string, std::string> fields;
  for (absl::string_view line : absl::StrSplit(absl::string_view(text, static_cast<size_t>(octets)), '\n')) {
    const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
    fields.emplace(field.first, absl::StripAsciiWhitespace(field.second));
  }
  return fields;
}

uint64_t CapabilityMask(const std::vector<std::string>& names) {
  uint64_t mask = 0;
  for (const std::string& name : names) {
    cap_value_t value;
    if (cap_from_name(absl::StrCat("cap_", name).c_str(), &value) == 0) mask |= uint64_t{1} << value;
  }
  return mask;
}

absl::Status DropBoundingSet(uint64_t kept) {
  for (cap_value_t value = 0; cap_get_bound(value) >= 0; ++value)
    if ((kept >> value & 1) == 0 && cap_get_bound(value) == 1 && cap_drop_bound(value) != 0) return Refused("cap_drop_bound");
  return absl::OkStatus();
}

// Permitted and effective become exactly `kept`, inheritable and ambient none.
absl::Status SetCapabilities(uint64_t kept) {
  const std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> caps(cap_init(), cap_free);
  if (caps == nullptr) return Refused("cap_init");
  for (cap_value_t value = 0; value <= CAP_LAST_CAP; ++value)
    if ((kept >> value & 1) != 0 && (cap_set_flag(caps.get(), CAP_PERMITTED, 1, &value, CAP_SET) != 0 ||
                                     cap_set_flag(caps.get(), CAP_EFFECTIVE, 1, &value, CAP_SET) != 0))
      return Refused("cap_set_flag");
  if (cap_set_proc(caps.get()) != 0) return Refused("cap_set_proc");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return Refused("PR_CAP_AMBIENT_CLEAR_ALL");
  return absl::OkStatus();
}

// Uid 0 would mean nothing to this process any more, and nobody can change that.
absl::Status LockSecurebits() {
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                  SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  return prctl(PR_SET_SECUREBITS, kBits, 0, 0, 0) == 0 ? absl::OkStatus() : Refused("PR_SET_SECUREBITS");
}

// Groups while it may still set them, then gid, then uid.
absl::Status BecomeUser(const Identity& identity) {
  if (setgroups(0, nullptr) != 0) return Refused("setgroups");
  if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return Refused("setresgid");
  if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return Refused("setresuid");
  return absl::OkStatus();
}

absl::Status Prctl(int option, unsigned long value, const char* name) {
  return prctl(option, value, 0, 0, 0) == 0 ? absl::OkStatus() : Refused(name);
}

absl::Status Differs(absl::string_view what, absl::string_view is, absl::string_view wanted) {
  return absl::InternalError(absl::StrCat("the cage does not hold: ", what, " is \"", is, "\", not \"", wanted, "\""));
}

// What the kernel says of this process now, against what was asked for.
absl::Status Verify(int status_file, const Identity& identity, uint64_t kept, bool bounded, bool no_new_privs, bool as_root) {
  ASSIGN_OR_RETURN(const auto fields, ReadStatus(status_file));
  const std::string none = absl::StrFormat("%016x", 0), some = absl::StrFormat("%016x", kept);
  std::map<std::string, std::string> wanted = {
      {"Uid", absl::StrFormat("%1$d\t%1$d\t%1$d\t%1$d", identity.uid)},
      {"Gid", absl::StrFormat("%1$d\t%1$d\t%1$d\t%1$d", identity.gid)},
      {"CapInh", none},
      {"CapPrm", some},
      {"CapEff", some},
      {"CapAmb", none},
      {"NoNewPrivs", no_new_privs ? "1" : "0"},
  };
  if (bounded) wanted["CapBnd"] = some;
  if (as_root) wanted["Groups"] = "";
  for (const auto& [name, value] : wanted) {
    const auto found = fields.find(name);
    if (found == fields.end()) return Differs(name, "missing", value);
    if (found->second != value) return Differs(name, found->second, value);
  }
  if (kept == 0 && setresuid(0, 0, 0) == 0) return Differs("setresuid(0)", "allowed", "refused");
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDescriptors(const Policy& policy, const std::vector<std::pair<std::string, int>>& fds) {
  const auto failed = [&](absl::string_view name, absl::string_view what) {
    return absl::FailedPreconditionError(absl::StrCat(policy.name, ": descriptor ", name, " ", what));
  };
  for (const std::string& word : policy.keep) {
    const absl::string_view name = absl::StripSuffix(word, "*");
    const auto count = std::count_if(fds.begin(), fds.end(), [&](const auto& fd) { return fd.first == name; });
    if (name == word && count == 0) return failed(name, "is missing");
    if (name == word && count > 1) return failed(name, "was handed over more than once");
  }
  for (const auto& [name, fd] : fds) {
    const auto kind = policy.kind.find(name);
    if (kind == policy.kind.end()) return failed(name, "is not kept");
    const std::string is = KindOf(fd);
    if (is.empty()) return failed(name, "is closed, or a directory");
    if (kind->second != "any" && kind->second != is) return failed(name, absl::StrCat("is of kind ", is, ", not ", kind->second));
  }
  return absl::OkStatus();
}

absl::Status Enter(const Policy& policy, const Identity& identity) {
  const bool as_root = geteuid() == 0;
  if (identity.uid == 0 || identity.gid == 0) return absl::FailedPreconditionError("a role cannot be root");
  if (!as_root && (identity.uid != geteuid() || identity.gid != getegid()))
    return absl::FailedPreconditionError("only root can become somebody else");
  if (policy.pid && getpid() != 1) return absl::FailedPreconditionError("pid = new, but this is not pid 1");
  const base::UniqueFd status_file(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  if (!status_file.valid()) return Refused("/proc/self/status");
  ASSIGN_OR_RETURN(const auto before, ReadStatus(status_file.get()));
  if (const auto threads = before.find("Threads"); threads == before.end() || threads->second != "1")
    return absl::FailedPreconditionError("more than one thread");

  const bool own_namespaces = policy.net || policy.mount || policy.ipc || policy.uts;
  RETURN_IF_ERROR(NewNamespaces(policy, own_namespaces && !as_root));
  if (policy.empty_root) RETURN_IF_ERROR(EmptyRoot());
  RETURN_IF_ERROR(ApplyLimits(policy.limits));

  // An ordinary user has capabilities only in a user namespace of his own, and keeps none of them.
  const bool powerful = as_root || own_namespaces;
  const uint64_t kept = as_root ? CapabilityMask(policy.caps) : 0;
  const bool no_new_privs = policy.no_new_privs || !as_root;
  if (powerful) RETURN_IF_ERROR(DropBoundingSet(kept));
  if (!as_root) RETURN_IF_ERROR(Prctl(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS"));
  if (policy.stages.count("enter") != 0) {
    ASSIGN_OR_RETURN(const Seal seal, Seal::Prepare(policy, "enter"));
    RETURN_IF_ERROR(seal.Apply());
  }
  if (powerful && kept == 0) RETURN_IF_ERROR(LockSecurebits());
  if (kept != 0) RETURN_IF_ERROR(Prctl(PR_SET_KEEPCAPS, 1, "PR_SET_KEEPCAPS"));
  if (as_root) RETURN_IF_ERROR(BecomeUser(identity));
  RETURN_IF_ERROR(SetCapabilities(kept));
  if (kept != 0) RETURN_IF_ERROR(Prctl(PR_SET_KEEPCAPS, 0, "PR_SET_KEEPCAPS"));

  // After the last change of identity, which would clear it. A parent that has died before this is told by the hang-up
  // of the control channel, which every role watches.
  if (policy.parent_death_kill) RETURN_IF_ERROR(Prctl(PR_SET_PDEATHSIG, SIGKILL, "PR_SET_PDEATHSIG"));
  RETURN_IF_ERROR(Prctl(PR_SET_DUMPABLE, policy.dumpable ? 1 : 0, "PR_SET_DUMPABLE"));
  RETURN_IF_ERROR(DenyExecutableMemory(policy.memory_deny_exec));
  if (no_new_privs) RETURN_IF_ERROR(Prctl(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS"));
  RETURN_IF_ERROR(DenyWithLandlock(policy.landlock));
  return Verify(status_file.get(), identity, kept, powerful, no_new_privs, as_root);
}

}  // namespace postern::sandbox
