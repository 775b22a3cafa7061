// checkpassword-file: cr.yp.to/checkpwd/interface.html for the users of a passwd-file. See
// docs/man/checkpassword-file.8.
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "base/unique_fd.h"
#include "checkpassword/credentials.h"
#include "checkpassword/hash.h"
#include "checkpassword/hash_command.h"
#include "checkpassword/identity.h"
#include "checkpassword/passwd_file.h"
#include "checkpassword/protected_file.h"
#include "checkpassword/verify.h"

namespace postern::checkpassword {
namespace {

constexpr int kCredentialsFd = 3;
// Debian hands out ids under 100 itself, the same on every system; from 100 on there may be a user made for mail.
constexpr uid_t kDefaultUidMin = 100;
constexpr char kShell[] = "/bin/sh";

constexpr char kUsage[] =
    "usage: checkpassword-file [--min-uid N] PASSWD-FILE PROG [ARGS...]\n"
    "       checkpassword-file --hash <PASSWORD-FILE";

// The interface's exit codes. What is our configuration's fault is temporary to the client: it is mended, not his.
enum ExitCode { kRejected = 1, kMisused = 2, kTemporary = 111 };

int ToExitCode(const absl::Status& status) {
  if (absl::IsUnauthenticated(status)) return kRejected;
  if (absl::IsInvalidArgument(status)) return kMisused;
  return kTemporary;
}

struct Options {
  bool hash = false;
  uid_t uid_min = kDefaultUidMin;
  const char* file = nullptr;
  char** program = nullptr;  // ends with a null pointer, as argv does
};

// One line in one write, so that the lines of several attempts do not mix.
void Say(absl::string_view text) {
  const std::string line = absl::StrCat("checkpassword-file: ", text, "\n");
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // nowhere to say so
}

// A core file would hold the password. The limit is the soft one only: what is run later may raise it again.
absl::Status ForbidDumps() {
  rlimit core;
  if (getrlimit(RLIMIT_CORE, &core) != 0) return absl::UnavailableError("getrlimit");
  core.rlim_cur = 0;
  if (setrlimit(RLIMIT_CORE, &core) != 0) return absl::UnavailableError("setrlimit");
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return absl::UnavailableError("prctl(PR_SET_DUMPABLE)");
  return absl::OkStatus();
}

absl::StatusOr<Options> ParseOptions(int argc, char** argv) {
  constexpr option kLong[] = {
      {"hash", no_argument, nullptr, 'h'},
      {"min-uid", required_argument, nullptr, 'u'},
      {nullptr, 0, nullptr, 0},
  };
  Options options;
  opterr = 0;
  for (int got; (got = getopt_long(argc, argv, "+", kLong, nullptr)) != -1;) {  // +: what follows PROG is not ours
    const absl::string_view value = optarg == nullptr ? "" : optarg;
    if (got == 'h') {
      options.hash = true;
    } else if (got != 'u' || value.empty() || !std::all_of(value.begin(), value.end(), absl::ascii_isdigit) ||
               !absl::SimpleAtoi(value, &options.uid_min)) {
      return absl::InvalidArgumentError(kUsage);
    }
  }
  const int operands = argc - optind;
  if (options.hash ? operands != 0 : operands < 2) return absl::InvalidArgumentError(kUsage);
  if (!options.hash) {
    options.file = argv[optind];
    options.program = argv + optind + 1;
  }
  return options;
}

void SayFault(const char* file, const Fault& fault) { Say(absl::StrCat(file, ":", fault.line, ": ", fault.text)); }

void SayOtherFaults(const char* file, const Lookup& lookup) {
  for (const Fault& fault : lookup.faults) SayFault(file, fault);
  if (lookup.more_faults != 0) Say(absl::StrCat(file, ": and ", lookup.more_faults, " more faulty lines"));
}

// Ok if the password is the user's. Then `lookup` says who that is.
absl::Status Authenticate(const Options& options, const Credentials& credentials, Lookup* lookup) {
  {
    ASSIGN_OR_RETURN(std::string text, ReadProtectedFile(options.file));
    *lookup = FindLogin(text, credentials.login(), options.uid_min);
    explicit_bzero(text.data(), text.size());
  }
  SayOtherFaults(options.file, *lookup);
  if (lookup->found == Found::kFaulty) {
    return absl::UnavailableError(
        absl::StrCat(options.file, ":", lookup->own_fault.line, ": ", lookup->own_fault.text));
  }
  switch (Verify(*lookup, credentials.password(), Hash)) {
    case Verdict::kAccepted:
      return absl::OkStatus();
    case Verdict::kRejected:
      return absl::UnauthenticatedError("");
    case Verdict::kFailed:
      break;
  }
  if (lookup->line == 0) return absl::UnavailableError(absl::StrCat(options.file, ": no hash could be computed"));
  return absl::UnavailableError(absl::StrCat(options.file, ":", lookup->line, ": libcrypt cannot compute this hash"));
}

absl::Status SetEnvironment(const std::string& login, const std::string& home) {
  if (setenv("USER", login.c_str(), 1) != 0 || setenv("HOME", home.c_str(), 1) != 0 || setenv("SHELL", kShell, 1) != 0)
    return absl::UnavailableError(absl::StrCat("setenv: ", strerror(errno)));
  return absl::OkStatus();
}

// Returns only with an error.
absl::Status LogIn(const Options& options) {
  Credentials credentials;
  RETURN_IF_ERROR(credentials.Read(base::UniqueFd(kCredentialsFd)));
  Lookup lookup;
  const std::string login(credentials.login());
  const absl::Status answer = Authenticate(options, credentials, &lookup);
  credentials.Wipe();
  RETURN_IF_ERROR(answer);

  RETURN_IF_ERROR(Become(lookup.uid, lookup.gid));
  if (chdir(lookup.home.c_str()) != 0)
    return absl::UnavailableError(absl::StrCat(options.file, ":", lookup.line, ": home directory: ", strerror(errno)));
  RETURN_IF_ERROR(SetEnvironment(login, lookup.home));
  execvp(options.program[0], options.program);
  return absl::UnavailableError(absl::StrCat(options.program[0], ": ", strerror(errno)));
}

absl::Status Run(int argc, char** argv) {
  RETURN_IF_ERROR(ForbidDumps());
  RETURN_IF_ERROR(CheckNotSetId());
  ASSIGN_OR_RETURN(const Options options, ParseOptions(argc, argv));
  return options.hash ? HashCommand() : LogIn(options);
}

}  // namespace
}  // namespace postern::checkpassword

int main(int argc, char** argv) {
  const absl::Status status = postern::checkpassword::Run(argc, argv);
  if (status.ok()) return 0;
  if (!status.message().empty()) postern::checkpassword::Say(status.message());  // a rejection is for the caller to log
  return postern::checkpassword::ToExitCode(status);
}
