// postern: the command. `run` is the supervisor, `check` says what is wrong with a configuration.

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/strings/numbers.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "supervisor/check.h"
#include "supervisor/supervisor.h"

namespace postern::supervisor {
namespace {

constexpr char kUsage[] =
    "usage: postern run [--notification-fd N] FILE.toml\n"
    "       postern check FILE.toml\n"
    "       postern --version | --help\n"
    "\n"
    "TLS in front of mail servers, with no TLS code near root.\n"
    "  run    serves in the foreground, logging to standard error, until TERM (which\n"
    "         waits for sessions under way) or INT (which does not).\n"
    "  check  says what is wrong with the configuration and serves nothing.\n"
    "\n"
    "  --notification-fd N   writes a newline to descriptor N when ready (s6)\n"
    "\n"
    "Exit codes: 0 done; 100 the configuration or the command line is wrong; 111 the\n"
    "system refused something, an address in use for example.\n"
    "See postern(8) and postern.toml(5).\n";

constexpr char kVersionText[] = "postern 0.1\n";

int Usage(const char* error) {
  fprintf(stderr, "postern: %s\n%s", error, kUsage);
  return base::kExitConfiguration;
}

// Errors are lines for a person, not log events: nothing runs yet.
int Fail(const absl::Status& status) {
  fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                 absl::IsPermissionDenied(status)
             ? base::kExitConfiguration
             : base::kExitTemporary;
}

int CheckCommand(const std::string& path) {
  const absl::StatusOr<Plan> plan = Check(path);
  if (!plan.ok()) return Fail(plan.status());
  printf("%s: in order, %zu service%s\n", path.c_str(), plan->config.services.size(),
         plan->config.services.size() == 1 ? "" : "s");
  return 0;
}

int RunCommand(const std::string& path, int notification_fd) {
  absl::StatusOr<Plan> plan = Check(path);
  if (!plan.ok()) return Fail(plan.status());
  Supervisor supervisor(*std::move(plan));
  absl::Status status = supervisor.Prepare();
  if (status.ok()) status = supervisor.Run(notification_fd);
  return status.ok() ? 0 : Fail(status);
}

// Under `bazel run` the working directory is Bazel's; paths are meant from where the user stands.
void EnterUsersDirectory() {
  const char* directory = getenv("BUILD_WORKING_DIRECTORY");
  if (directory != nullptr && chdir(directory) != 0) perror(directory);
}

int Main(int argc, char** argv) {
  constexpr option kOptions[] = {{"notification-fd", required_argument, nullptr, 'n'},
                                 {"version", no_argument, nullptr, 'v'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {}};
  int notification_fd = -1;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (c) {
      case 'n':
        if (!absl::SimpleAtoi(optarg, &notification_fd) || notification_fd < 3 ||
            fcntl(notification_fd, F_SETFD, FD_CLOEXEC) != 0)
          return Usage("--notification-fd wants the number of an open descriptor, 3 or more");
        break;
      case 'v':
        return fputs(kVersionText, stdout) < 0;
      case 'h':
        return fputs(kUsage, stdout) < 0;
      default:
        return Usage((std::string("unknown option ") + argv[optind - 1]).c_str());
    }
  }
  if (argc - optind != 2) return Usage("a command and a file are needed");
  EnterUsersDirectory();
  const std::string command = argv[optind], path = argv[optind + 1];
  if (command == "check") return CheckCommand(path);
  if (command == "run") return RunCommand(path, notification_fd);
  return Usage(("unknown command " + command).c_str());
}

}  // namespace
}  // namespace postern::supervisor

int main(int argc, char** argv) { return postern::supervisor::Main(argc, argv); }
